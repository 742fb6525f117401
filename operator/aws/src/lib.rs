//! AWS: the only place that knows the SDK. Everything else sees plain types.

#![forbid(unsafe_code)]

mod caller;
mod cloudwatch;
mod convert;
mod error;
mod logs;
mod metrics;
mod pace;
pub mod published;
mod publisher;
mod reader;
mod readings;
mod sdk;
pub mod synthetics;
mod trust;
pub mod types;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::{BehaviorVersion, Region, sts::AssumeRoleProvider};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudwatch::config::{retry::RetryConfig, timeout::TimeoutConfig};
use futures::channel::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use caller::Caller;
pub use cloudwatch::{Answer, CloudWatch};
pub use error::{AwsError, ErrorKind};
pub use logs::Logs;
use logs::SignedLogs;
pub use metrics::CallMetrics;
pub use pace::Pacer;
use pace::Service;
pub use publisher::{Destination, PublishMetrics, Published, Publisher};
pub use reader::{AlarmReading, DetectorUsers, Detectors, Reader, detector_of};
use sdk::SdkCloudWatch;
use synthetics::sdk::SdkSynthetics;
use synthetics::{CanaryReader, Synthetics};

/// Time for a connection, and for a call from signing to the last byte.
const CONNECT: Duration = Duration::from_secs(3);
const CALL: Duration = Duration::from_secs(10);

/// Where something is, and as whom it is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    pub region: String,
    /// None: the operator's own identity.
    pub role: Option<String>,
}

impl Scope {
    /// The account of the role, where there is one: the quotas are each account's. Empty for our own.
    pub fn account(&self) -> &str {
        self.role.as_deref().and_then(|role| role.split(':').nth(4)).unwrap_or_default()
    }
}

/// One scope's calls and reads.
#[derive(Clone)]
pub struct Connection {
    pub cloudwatch: Arc<dyn CloudWatch>,
    pub reader: Reader,
    pub synthetics: Arc<dyn Synthetics>,
    pub canaries: CanaryReader,
    pub logs: Arc<dyn Logs>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// How calls are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Time between two reads of the same alarm or canary.
    pub resync: Duration,
    /// How long a read waits for others to share a batch with.
    pub gather: Duration,
    /// Keep to the published rates. Only tests don't.
    pub paced: bool,
}

impl Tuning {
    /// What the operator uses.
    pub fn every(resync: Duration) -> Self {
        Self { resync, gather: Duration::from_millis(150), paced: true }
    }
}

/// The process's way to AWS: the default chain's credentials, one client and one reader for each scope in use.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    pacer: Pacer,
    metrics: CallMetrics,
    connections: Arc<Mutex<HashMap<Scope, Connection>>>,
    tuning: Tuning,
    wake: UnboundedSender<String>,
    cancel: CancellationToken,
}

/// The SDK's configuration from the environment: AWS_REGION, IRSA, Pod Identity, AWS_ENDPOINT_URL and so on. Nothing is
/// asked for anything where AWS isn't `enabled`.
pub async fn load_config(region: Option<String>, enabled: bool) -> SdkConfig {
    if !enabled {
        return SdkConfig::builder().build();
    }
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(CALL).build(),
        );
    let loader = match trust::http_client() {
        Some(client) => loader.http_client(client),
        None => loader,
    };
    match region {
        Some(region) => loader.region(Region::new(region)).load().await,
        None => loader.load().await,
    }
}

impl Aws {
    /// Readers run until `cancel`; `wake` is told the objects whose readings changed.
    pub fn new(
        config: SdkConfig,
        metrics: CallMetrics,
        tuning: Tuning,
        wake: UnboundedSender<String>,
        cancel: CancellationToken,
    ) -> Self {
        let pacer = if tuning.paced { Pacer::default() } else { Pacer::unpaced() };
        Self { config, pacer, metrics, connections: Arc::default(), tuning, wake, cancel }
    }

    /// The operator's own Region, if it is known.
    pub fn region(&self) -> Option<String> {
        self.config.region().map(ToString::to_string)
    }

    /// The connection of `scope`, made at its first use.
    pub async fn connection(&self, scope: &Scope) -> Connection {
        if let Some(connection) = self.existing(scope) {
            return connection;
        }
        let config = self.config_of(scope).await;
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.entry(scope.clone()).or_insert_with(|| self.connect(scope, &config)).clone()
    }

    fn connect(&self, scope: &Scope, config: &SdkConfig) -> Connection {
        let caller = |service| Caller {
            service,
            account: scope.account().to_owned(),
            region: scope.region.clone(),
            role: scope.role.clone(),
            pacer: self.pacer.clone(),
            metrics: self.metrics.clone(),
        };
        let cloudwatch: Arc<dyn CloudWatch> = Arc::new(SdkCloudWatch {
            client: aws_sdk_cloudwatch::Client::new(config),
            caller: caller(Service::CloudWatch),
        });
        let reader = Reader::new(cloudwatch.clone(), self.wake.clone(), self.tuning);
        let synthetics: Arc<dyn Synthetics> = Arc::new(SdkSynthetics {
            client: aws_sdk_synthetics::Client::new(config),
            caller: caller(Service::Synthetics),
        });
        let canaries = CanaryReader::new(synthetics.clone(), self.wake.clone(), self.tuning);
        let logs: Arc<dyn Logs> = Arc::new(SignedLogs::new(config, caller(Service::Logs)));
        // A reader that nobody asks makes no call.
        tokio::spawn(reader.clone().run(self.cancel.clone()));
        tokio::spawn(canaries.clone().run(self.cancel.clone()));
        Connection { cloudwatch, reader, synthetics, canaries, logs }
    }

    /// `object` has only these alarms or canaries, in `scope`: nothing else is read for it any more.
    pub fn keep_only(&self, object: &str, scope: &Scope, names: &BTreeSet<String>) {
        for (there, connection) in self.connections.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let none = BTreeSet::new();
            let kept = if there == scope { names } else { &none };
            connection.reader.forget(object, kept);
            connection.canaries.forget(object, kept);
        }
    }

    /// `object` is gone.
    pub fn forget(&self, object: &str) {
        for connection in self.connections.lock().unwrap_or_else(PoisonError::into_inner).values() {
            connection.reader.forget(object, &BTreeSet::new());
            connection.canaries.forget(object, &BTreeSet::new());
        }
    }

    fn existing(&self, scope: &Scope) -> Option<Connection> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    async fn config_of(&self, scope: &Scope) -> SdkConfig {
        let region = Region::new(scope.region.clone());
        let builder = self.config.clone().into_builder().region(region.clone());
        let Some(role) = &scope.role else { return builder.build() };
        let provider = AssumeRoleProvider::builder(role)
            .configure(&self.config)
            .region(region)
            .session_name("tidewatch")
            .build()
            .await;
        builder.credentials_provider(SharedCredentialsProvider::new(provider)).build()
    }
}
