//! The cluster, watched and reduced at once to what endpoint resolution and selection need (the idea of linkerd's
//! policy controller: an index that turns watches into small facts and answers questions).

#![forbid(unsafe_code)]

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch as channel;

mod backends;
mod changes;
mod cidr;
mod facts;
mod frontends;
mod history;
mod index;
mod intern;
mod lifecycle;
mod owner;
mod reduce;
mod remotes;
mod resolve;
mod revisions;
mod table;
mod transitions;
mod watch;

pub use changes::{Change, Changes, NodeEdit, ServiceEdit, What};
pub use cidr::CidrTable;
pub use facts::{
    Backend, Deletion, Labels, NamespaceFact, NodeFact, PodFact, PodPhase, PolicyFact, ServiceFact,
    SliceFact, Uid,
};
pub use index::{Fact, HISTORY, Index, Kind, Size};
pub use remotes::{Remote, RemoteError, RemoteSpec, Remotes};
pub use resolve::resolve;
pub use watch::{WatchConfig, watch};

/// The index, shared: watches write to it, resolution and controllers read it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cluster {
    index: Arc<RwLock<Index>>,
    changes: Arc<channel::Sender<u64>>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self { index: Arc::default(), changes: Arc::new(channel::Sender::new(0)) }
    }
}

impl Cluster {
    /// The index as it is now. Hold it for a computation, never across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        // A panic under the lock leaves facts that are each whole: a reader may go on with them.
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the index; `change` says whether anything did change, and then watchers of [`Cluster::changes`] wake.
    /// For watches; tests and benchmarks build an index by it without a cluster.
    pub fn update(&self, change: impl FnOnce(&mut Index) -> bool) {
        let changed = change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        if changed {
            self.changes.send_modify(|version| *version += 1);
        }
    }

    /// A number that grows with every change.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until every kind that is needed has been listed once.
    pub async fn synced(&self) {
        let mut changes = self.changes();
        while !self.read().synced() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
