//! Reads that all objects of one account and Region share: alarms by name in batches of 100, detectors as one list.
//!
//! A resync reads every wanted alarm once and wakes only the objects whose reading changed, so that a thousand alarms at
//! rest cost ten calls. An object that just wrote asks for a reading younger than its write, and shares a batch with the
//! others that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Tuning;
use super::cloudwatch::CloudWatch;
use super::error::{AwsError, ErrorKind};
use super::types::{Alarm, AlarmConfig, Detector, DetectorId, Limit, Source, Watched};

/// DescribeAlarms takes so many names.
const BATCH: usize = 100;

/// What an alarm's reading is: the alarm, or that there is none.
pub type AlarmReading = Option<Arc<Alarm>>;
/// The detectors of an account and Region.
pub type Detectors = Arc<BTreeMap<DetectorId, Detector>>;
/// Which metric alarms use which detector.
pub type DetectorUsers = Arc<BTreeMap<DetectorId, BTreeSet<String>>>;

struct Entry {
    read: Option<(Instant, AlarmReading)>,
    /// The object that is woken when the reading changes.
    object: String,
}

struct Waiting {
    names: Vec<String>,
    newer_than: Instant,
    answer: oneshot::Sender<Result<BTreeMap<String, AlarmReading>, AwsError>>,
}

#[derive(Default)]
struct State {
    alarms: HashMap<String, Entry>,
    waiting: Vec<Waiting>,
    /// Objects that want to know of their detector.
    detectors: HashMap<String, DetectorId>,
}

/// A list that is read as a whole, by one at a time.
type Listed<T> = tokio::sync::Mutex<Option<(Instant, Arc<T>)>>;

/// The reads of one account and Region. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Reader {
    cloudwatch: Arc<dyn CloudWatch>,
    state: Arc<Mutex<State>>,
    detectors: Arc<Listed<BTreeMap<DetectorId, Detector>>>,
    users: Arc<Listed<BTreeMap<DetectorId, BTreeSet<String>>>>,
    asked: Arc<Notify>,
    wake: UnboundedSender<String>,
    tuning: Tuning,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("alarms", &self.lock().alarms.len()).finish_non_exhaustive()
    }
}

impl Reader {
    /// `wake` is told the objects whose readings changed.
    pub fn new(cloudwatch: Arc<dyn CloudWatch>, wake: UnboundedSender<String>, tuning: Tuning) -> Self {
        Self {
            cloudwatch,
            state: Arc::default(),
            detectors: Arc::default(),
            users: Arc::default(),
            asked: Arc::default(),
            wake,
            tuning,
        }
    }

    /// Readings of `names` taken at `newer_than` or later, for `object`; from now on these are read at each resync.
    pub async fn alarms(
        &self,
        object: &str,
        names: &[String],
        newer_than: Instant,
    ) -> Result<BTreeMap<String, AlarmReading>, AwsError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.lock();
            for name in names {
                state
                    .alarms
                    .entry(name.clone())
                    .or_insert_with(|| Entry { read: None, object: object.to_owned() });
            }
            if let Some(readings) = state.readings(names, newer_than) {
                return Ok(readings);
            }
            state.waiting.push(Waiting { names: names.to_vec(), newer_than, answer });
        }
        self.asked.notify_one();
        answered.await.unwrap_or_else(|_| {
            Err(AwsError::local("DescribeAlarms", "", ErrorKind::Retry, "the reader has ended"))
        })
    }

    /// The detectors, read at `newer_than` or later; from now on `object` is woken when `interest` changes.
    pub async fn detectors(
        &self,
        object: &str,
        interest: Option<&DetectorId>,
        newer_than: Instant,
    ) -> Result<Detectors, AwsError> {
        match interest {
            Some(id) => drop(self.lock().detectors.insert(object.to_owned(), id.clone())),
            None => drop(self.lock().detectors.remove(object)),
        }
        let mut list = self.detectors.lock().await;
        if let Some((at, detectors)) = list.as_ref()
            && *at >= newer_than
        {
            return Ok(detectors.clone());
        }
        self.read_detectors(&mut list).await
    }

    async fn read_detectors(&self, list: &mut Option<(Instant, Detectors)>) -> Result<Detectors, AwsError> {
        let at = Instant::now();
        let read: BTreeMap<_, _> =
            self.cloudwatch.detectors().await?.into_iter().map(|d| (d.id.clone(), d)).collect();
        let read = Arc::new(read);
        let before = list.replace((at, read.clone()));
        if let Some((_, before)) = before {
            for (object, id) in &self.lock().detectors {
                if before.get(id) != read.get(id) {
                    let _ = self.wake.unbounded_send(object.clone());
                }
            }
        }
        Ok(read)
    }

    /// Who uses which detector, over every alarm of the account and Region, read at `newer_than` or later.
    pub async fn detector_users(&self, newer_than: Instant) -> Result<DetectorUsers, AwsError> {
        let mut list = self.users.lock().await;
        if let Some((at, users)) = list.as_ref()
            && *at >= newer_than
        {
            return Ok(users.clone());
        }
        let at = Instant::now();
        let mut users: BTreeMap<DetectorId, BTreeSet<String>> = BTreeMap::new();
        for alarm in self.cloudwatch.all_metric_alarms().await? {
            if let Some(id) = detector_of(&alarm.config) {
                users.entry(id).or_default().insert(alarm.config.name().to_owned());
            }
        }
        let users = Arc::new(users);
        *list = Some((at, users.clone()));
        Ok(users)
    }

    /// Nobody asks for these any more.
    pub fn forget(&self, object: &str, keep: &BTreeSet<String>) {
        let mut state = self.lock();
        state.alarms.retain(|name, entry| entry.object != object || keep.contains(name));
        if keep.is_empty() {
            state.detectors.remove(object);
        }
    }

    /// Reads until `cancel`, also in the midst of a read: a replica that no longer leads asks nothing more.
    pub async fn run(self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.serve() => {}
        }
    }

    async fn serve(&self) {
        let resync = self.tuning.resync;
        let mut due = Instant::now() + resync;
        loop {
            tokio::select! {
                () = self.asked.notified() => {
                    tokio::time::sleep(self.tuning.gather).await;
                    self.answer_waiting().await;
                }
                () = tokio::time::sleep_until(due) => {
                    due = Instant::now() + resync;
                    self.resync().await;
                }
            }
        }
    }

    async fn answer_waiting(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        let names: BTreeSet<String> = {
            let state = self.lock();
            let open = waiting.iter().filter(|w| !w.answer.is_closed());
            let stale = open.flat_map(|w| w.names.iter().filter(|n| !state.is_newer(n, w.newer_than)));
            stale.cloned().collect()
        };
        let failure = self.read(&names.into_iter().collect::<Vec<_>>(), false).await.err();
        let state = self.lock();
        for waiting in waiting {
            let answer = match state.readings(&waiting.names, waiting.newer_than) {
                Some(readings) => Ok(readings),
                None => Err(failure.clone().unwrap_or_else(|| {
                    AwsError::local("DescribeAlarms", "", ErrorKind::Retry, "not read yet")
                })),
            };
            let _ = waiting.answer.send(answer);
        }
    }

    async fn resync(&self) {
        let names: Vec<String> = self.lock().alarms.keys().cloned().collect();
        if names.is_empty() {
            return;
        }
        if let Err(error) = self.read(&names, true).await {
            tracing::warn!(%error, "couldn't read the alarms' states");
            // Each object says on itself that its state isn't known any more.
            let mut state = self.lock();
            for entry in state.alarms.values_mut() {
                entry.read = None;
                let _ = self.wake.unbounded_send(entry.object.clone());
            }
            return;
        }
        if self.lock().detectors.is_empty() {
            return;
        }
        let mut list = self.detectors.lock().await;
        if let Err(error) = self.read_detectors(&mut list).await {
            tracing::warn!(%error, "couldn't read the detectors");
        }
    }

    /// Reads `names` and remembers what there is; the first batch that fails ends it.
    async fn read(&self, names: &[String], wake: bool) -> Result<(), AwsError> {
        for batch in names.chunks(BATCH) {
            let at = Instant::now();
            let alarms = self.cloudwatch.describe_alarms(batch).await?;
            let mut found: HashMap<String, Arc<Alarm>> =
                alarms.into_iter().map(|alarm| (alarm.config.name().to_owned(), Arc::new(alarm))).collect();
            let mut state = self.lock();
            for name in batch {
                let reading = found.remove(name);
                let Some(entry) = state.alarms.get_mut(name) else { continue };
                let changed = entry.read.as_ref().is_none_or(|(_, before)| *before != reading);
                entry.read = Some((at, reading));
                if changed && wake {
                    let _ = self.wake.unbounded_send(entry.object.clone());
                }
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_newer(&self, name: &str, newer_than: Instant) -> bool {
        self.alarms.get(name).and_then(|entry| entry.read.as_ref()).is_some_and(|(at, _)| *at >= newer_than)
    }

    fn readings(&self, names: &[String], newer_than: Instant) -> Option<BTreeMap<String, AlarmReading>> {
        names
            .iter()
            .map(|name| {
                let (at, reading) = self.alarms.get(name)?.read.as_ref()?;
                (*at >= newer_than).then(|| (name.clone(), reading.clone()))
            })
            .collect()
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
