//! What is asked of CloudWatch Synthetics, in one account and Region. The rest of the operator knows this and no SDK.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::types::{CanaryParts, CanarySeen, Field, RunSeen, RuntimeSeen};
use crate::cloudwatch::Answer;
use crate::types::Tags;

/// What of several pages was read, and in how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages<T> {
    pub items: Vec<T>,
    pub pages: usize,
}

/// The calls that the operator makes; each is one request, except where it says that it follows pages.
pub trait Synthetics: Send + Sync {
    /// The canaries of these names (at most 5) that exist; with no names all of them, page by page.
    fn canaries<'a>(&'a self, names: &'a [String]) -> Answer<'a, Pages<CanarySeen>>;
    /// The last attempt of a run of each of these canaries (at most 5) that ever ran, with the canary's name; with no names
    /// of all canaries, page by page.
    fn last_runs<'a>(&'a self, names: &'a [String]) -> Answer<'a, Pages<(String, RunSeen)>>;
    fn canary<'a>(&'a self, name: &'a str) -> Answer<'a, Option<CanarySeen>>;
    /// Attempts of runs that began after `after`, the newest first, page by page.
    fn runs<'a>(&'a self, name: &'a str, after: Timestamp) -> Answer<'a, Vec<RunSeen>>;
    /// Every runtime version, page by page.
    fn runtimes(&self) -> Answer<'_, Vec<RuntimeSeen>>;
    /// Begins to make a canary; whether that succeeds is told by its state.
    fn create<'a>(&'a self, canary: &'a CanaryParts, tags: &'a Tags) -> Answer<'a, ()>;
    /// Begins to change these fields, and no others; a runtime goes with the code.
    fn update<'a>(&'a self, canary: &'a CanaryParts, fields: &'a BTreeSet<Field>) -> Answer<'a, ()>;
    /// Begins to remove replicas in other Regions.
    fn remove_replicas<'a>(&'a self, name: &'a str, regions: &'a [String]) -> Answer<'a, ()>;
    fn start<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    fn stop<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    /// Begins to delete a canary, with its function and layer.
    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
    fn tag<'a>(&'a self, arn: &'a str, tags: &'a Tags) -> Answer<'a, ()>;
    fn untag<'a>(&'a self, arn: &'a str, keys: &'a [String]) -> Answer<'a, ()>;
}
