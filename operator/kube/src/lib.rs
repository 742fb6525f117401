//! What the operator's controllers share towards the API server: leadership, watches, the reconcile loop, and how an
//! object's status, conditions, finalizer and events are written.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod conditions;
pub mod events;
pub mod leader;
pub mod object;
pub mod passes;
pub mod readiness;
pub mod reconcile;
pub mod unreadable;
pub mod watch_health;
