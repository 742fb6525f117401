//! Watches of the API server that fail when a test says so.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use tidewatch_kube::watch_health::{Timing, Watch, WatchHealth, Watched};

/// Watches whose first failure is told at once.
pub fn impatient() -> WatchHealth {
    WatchHealth::with(Timing { patience: Duration::ZERO, ..Timing::default() })
}

/// A watch that isn't allowed; it ends when it is dropped. Statuses say so at once if `health` is [`impatient`].
pub fn refused(health: &WatchHealth, resource: Watched) -> Watch {
    let watch = health.begin(resource);
    let status = kube::core::Status { code: 403, ..kube::core::Status::default() };
    let error = watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)));
    watch.saw(&Err::<Event<ConfigMap>, _>(error));
    watch
}
