//! Reads of alarms and detectors that all objects of one account and Region share: alarms by name in batches of 100,
//! detectors as one list.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Tuning;
use super::cloudwatch::{Answer, CloudWatch};
use super::error::AwsError;
use super::readings::{Readings, Source as ReadingsSource};
use super::types::{Alarm, AlarmConfig, Detector, DetectorId, Limit, Source, Watched};

/// What an alarm's reading is: the alarm, or that there is none.
pub type AlarmReading = Option<Arc<Alarm>>;
/// The detectors of an account and Region.
pub type Detectors = Arc<BTreeMap<DetectorId, Detector>>;
/// Which metric alarms use which detector.
pub type DetectorUsers = Arc<BTreeMap<DetectorId, BTreeSet<String>>>;

/// A list that is read as a whole, by one at a time.
type Listed<T> = tokio::sync::Mutex<Option<(Instant, Arc<T>)>>;

/// The reads of one account and Region. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Reader {
    alarms: Readings<Alarms>,
}

/// Where they come from.
struct Alarms {
    cloudwatch: Arc<dyn CloudWatch>,
    detectors: Listed<BTreeMap<DetectorId, Detector>>,
    users: Listed<BTreeMap<DetectorId, BTreeSet<String>>>,
    /// Objects that want to know of their detector.
    interests: Mutex<HashMap<String, DetectorId>>,
    wake: UnboundedSender<String>,
}

impl ReadingsSource for Alarms {
    type Reading = AlarmReading;
    const OPERATION: &'static str = "DescribeAlarms";
    /// DescribeAlarms takes so many names.
    const BATCH: usize = 100;

    fn read<'a>(&'a self, names: &'a [String]) -> Answer<'a, HashMap<String, AlarmReading>> {
        Box::pin(async move {
            let alarms = self.cloudwatch.describe_alarms(names).await?.into_iter();
            Ok(alarms.map(|alarm| (alarm.config.name().to_owned(), Some(Arc::new(alarm)))).collect())
        })
    }

    async fn resynced(&self) {
        if self.interests().is_empty() {
            return;
        }
        let mut list = self.detectors.lock().await;
        if let Err(error) = self.read_detectors(&mut list).await {
            tracing::warn!(%error, "couldn't read the detectors");
        }
    }
}

impl Alarms {
    async fn read_detectors(&self, list: &mut Option<(Instant, Detectors)>) -> Result<Detectors, AwsError> {
        let at = Instant::now();
        let read: BTreeMap<_, _> =
            self.cloudwatch.detectors().await?.into_iter().map(|d| (d.id.clone(), d)).collect();
        let read = Arc::new(read);
        let before = list.replace((at, read.clone()));
        if let Some((_, before)) = before {
            for (object, id) in self.interests().iter() {
                if before.get(id) != read.get(id) {
                    let _ = self.wake.unbounded_send(object.clone());
                }
            }
        }
        Ok(read)
    }

    fn interests(&self) -> MutexGuard<'_, HashMap<String, DetectorId>> {
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("alarms", &self.alarms.len()).finish_non_exhaustive()
    }
}

impl Reader {
    /// `wake` is told the objects whose readings changed.
    pub fn new(cloudwatch: Arc<dyn CloudWatch>, wake: UnboundedSender<String>, tuning: Tuning) -> Self {
        let source = Alarms {
            cloudwatch,
            detectors: Listed::default(),
            users: Listed::default(),
            interests: Mutex::default(),
            wake: wake.clone(),
        };
        Self { alarms: Readings::new(source, wake, tuning) }
    }

    /// Readings of `names` taken at `newer_than` or later, for `object`; from now on these are read at each resync.
    pub async fn alarms(
        &self,
        object: &str,
        names: &[String],
        newer_than: Instant,
    ) -> Result<BTreeMap<String, AlarmReading>, AwsError> {
        self.alarms.get(object, names, newer_than).await
    }

    /// The detectors, read at `newer_than` or later; from now on `object` is woken when `interest` changes.
    pub async fn detectors(
        &self,
        object: &str,
        interest: Option<&DetectorId>,
        newer_than: Instant,
    ) -> Result<Detectors, AwsError> {
        let source = self.alarms.source();
        match interest {
            Some(id) => drop(source.interests().insert(object.to_owned(), id.clone())),
            None => drop(source.interests().remove(object)),
        }
        let mut list = source.detectors.lock().await;
        if let Some((at, detectors)) = list.as_ref()
            && *at >= newer_than
        {
            return Ok(detectors.clone());
        }
        source.read_detectors(&mut list).await
    }

    /// Who uses which detector, over every alarm of the account and Region, read at `newer_than` or later.
    pub async fn detector_users(&self, newer_than: Instant) -> Result<DetectorUsers, AwsError> {
        let source = self.alarms.source();
        let mut list = source.users.lock().await;
        if let Some((at, users)) = list.as_ref()
            && *at >= newer_than
        {
            return Ok(users.clone());
        }
        let at = Instant::now();
        let mut users: BTreeMap<DetectorId, BTreeSet<String>> = BTreeMap::new();
        for alarm in source.cloudwatch.all_metric_alarms().await? {
            if let Some(id) = detector_of(&alarm.config) {
                users.entry(id).or_default().insert(alarm.config.name().to_owned());
            }
        }
        let users = Arc::new(users);
        *list = Some((at, users.clone()));
        Ok(users)
    }

    /// Nobody asks for others than `keep` for `object` any more.
    pub fn forget(&self, object: &str, keep: &BTreeSet<String>) {
        self.alarms.forget(object, keep);
        if keep.is_empty() {
            self.alarms.source().interests().remove(object);
        }
    }

    /// Reads until `cancel`, also in the midst of a read: a replica that no longer leads asks nothing more.
    pub async fn run(self, cancel: CancellationToken) {
        self.alarms.run(cancel).await;
    }
}

/// The detector that an alarm's band comes from.
pub fn detector_of(config: &AlarmConfig) -> Option<DetectorId> {
    let AlarmConfig::Metric(alarm) = config else { return None };
    let Watched::Queries { queries, limit: Limit::Band(band) } = &alarm.watched else { return None };
    let watched = queries.iter().find(|query| query.return_data && query.id != *band)?;
    Some(match &watched.source {
        Source::Metric { metric, statistic, .. } => {
            DetectorId::Metric { metric: metric.clone(), statistic: statistic.clone() }
        }
        Source::Expression { .. } => {
            DetectorId::Math { queries: queries.iter().filter(|query| query.id != *band).cloned().collect() }
        }
    })
}
