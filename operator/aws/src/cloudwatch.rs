//! What is asked of CloudWatch, in one account and Region. The rest of the operator knows this and no SDK.

use futures::future::BoxFuture;

use super::error::AwsError;
use super::types::{
    Alarm, CompositeAlarm, Datum, Detector, DetectorConfig, DetectorId, MetricAlarm, MuteRule, Tags,
};

/// The answer to a call, when it comes.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, AwsError>>;

/// The calls that the operator makes; each is one request, except where it says that it follows pages.
pub trait CloudWatch: Send + Sync {
    /// The alarms of these names (at most 100) that exist.
    fn describe_alarms<'a>(&'a self, names: &'a [String]) -> Answer<'a, Vec<Alarm>>;
    /// Every alarm on a metric, page by page.
    fn all_metric_alarms(&self) -> Answer<'_, Vec<Alarm>>;
    /// Creates (with the tags) or overwrites (whoever's it is, leaving its tags).
    fn put_metric_alarm<'a>(&'a self, alarm: &'a MetricAlarm, tags: &'a Tags) -> Answer<'a, ()>;
    fn put_composite_alarm<'a>(&'a self, alarm: &'a CompositeAlarm, tags: &'a Tags) -> Answer<'a, ()>;
    fn delete_alarm<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    fn tags<'a>(&'a self, arn: &'a str) -> Answer<'a, Tags>;
    fn tag<'a>(&'a self, arn: &'a str, tags: &'a Tags) -> Answer<'a, ()>;
    fn untag<'a>(&'a self, arn: &'a str, keys: &'a [String]) -> Answer<'a, ()>;
    /// Every detector of the account and Region, page by page.
    fn detectors(&self) -> Answer<'_, Vec<Detector>>;
    fn put_detector<'a>(&'a self, id: &'a DetectorId, config: &'a DetectorConfig) -> Answer<'a, ()>;
    fn delete_detector<'a>(&'a self, id: &'a DetectorId) -> Answer<'a, ()>;
    /// The rule and its ARN.
    fn mute_rule<'a>(&'a self, name: &'a str) -> Answer<'a, Option<(MuteRule, String)>>;
    fn put_mute_rule<'a>(&'a self, rule: &'a MuteRule, tags: &'a Tags) -> Answer<'a, ()>;
    fn delete_mute_rule<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    /// At most 1,000 data and 1 MB.
    fn put_metric_data<'a>(&'a self, namespace: &'a str, data: &'a [Datum]) -> Answer<'a, ()>;
}
