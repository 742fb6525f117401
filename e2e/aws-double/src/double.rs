//! The double, as tests hold it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::calls::Call;
use crate::clock::Clock;
use crate::faults::Fault;
use crate::model::{self, ModelError};
use crate::operations::sts::Keys;
use crate::server::{Core, Server};
use crate::state::{Region, World};

#[derive(Debug, Clone)]
pub struct Options {
    /// Refuse what comes faster than AWS's published rates.
    pub throttled: bool,
    /// Where the clock stands; it then moves by [`Double::advance`] alone. None is the real time.
    pub now: Option<Timestamp>,
    /// The account of keys that aren't registered.
    pub account: String,
    /// Accounts by access key.
    pub keys: BTreeMap<String, String>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What a detector needs from its creation to its first band.
    pub training: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            throttled: false,
            now: None,
            account: "123456789012".to_owned(),
            keys: BTreeMap::new(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            // "up to 3 hours" (CloudWatch_Anomaly_Detection).
            training: SignedDuration::from_hours(3),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// A running double. It stops when the last clone is dropped; all clones are one.
#[derive(Clone)]
pub struct Double {
    core: Arc<Core>,
    server: Arc<Server>,
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Double").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Double {
    pub async fn start(options: Options) -> Result<Self, Error> {
        let core = Arc::new(Core::new(
            model::all()?,
            options.throttled,
            Clock::new(options.now),
            World::new(options.training),
            Keys::new(options.account, options.keys),
        ));
        let address = options.listen;
        let server = Server::start(address, Arc::clone(&core)).await;
        let server = server.map_err(|source| Error::Listen { address, source })?;
        Ok(Self { core, server: Arc::new(server) })
    }

    /// For `AWS_ENDPOINT_URL` or `endpoint_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Every call since the start or the last [`Double::clear_calls`], in order.
    pub fn calls(&self) -> Vec<Call> {
        self.core.lock().calls.clone()
    }

    /// The calls of one operation.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        self.core.lock().calls.iter().filter(|call| call.operation == operation).cloned().collect()
    }

    pub fn clear_calls(&self) {
        self.core.lock().calls.clear();
    }

    /// Faults are met in the order in which they were injected, each as often as it says.
    pub fn inject(&self, fault: Fault) {
        self.core.lock().inject(fault);
    }

    pub fn clear_faults(&self) {
        self.core.lock().faults.clear();
    }

    /// Until a call is held by [`crate::FaultKind::HoldBefore`] or `HoldAfter`.
    pub async fn held(&self) {
        self.core.held().await;
    }

    /// Lets held calls go on, and waits until they are done: one that was held before is applied, even if its caller has
    /// gone meanwhile.
    pub async fn let_go(&self) {
        let ended = self.core.lock().holds.let_go();
        for ended in ended {
            let _ = ended.await;
        }
    }

    /// Held calls come to nothing, unless they were applied before, and their connections are closed.
    pub fn forget_held(&self) {
        self.core.lock().holds.forget();
    }

    /// Makes an access key belong to an account.
    pub fn register_key(&self, access_key: &str, account: &str) {
        self.core.lock().keys.register(access_key, account);
    }

    /// Moves the clock; what would have happened meanwhile has happened: evaluation, training, lagging writes.
    pub fn advance(&self, by: SignedDuration) {
        self.core.lock().advance(by);
    }

    pub fn now(&self) -> Timestamp {
        self.core.lock().now()
    }

    /// Looks at and changes by hand what there is in an account and Region. `f` must not call the double.
    pub fn with<R>(&self, account: &str, region: &str, f: impl FnOnce(&mut Region) -> R) -> R {
        let mut inner = self.core.lock();
        let now = inner.now();
        let region = inner.world.truth(account, region, now);
        let result = f(region);
        region.settle_all();
        result
    }
}
