//! /metrics and /healthz.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// The time at which the agent last closed a window. The agent is healthy while that is recent.
#[derive(Debug)]
pub struct Liveness {
    begun: Instant,
    /// Milliseconds after `begun`.
    last: AtomicU64,
    window_seconds: u32,
}

impl Liveness {
    pub fn new(window_seconds: u32) -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0), window_seconds }
    }

    /// Notes that a window was closed.
    pub fn beat(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// Returns true if a window was closed within the last three window lengths. The first window takes up to two.
    pub fn is_alive(&self) -> bool {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        elapsed.saturating_sub(self.last.load(Ordering::Relaxed))
            < u64::from(self.window_seconds) * 3000 + 5000
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    liveness: Arc<Liveness>,
}

/// Serves until the process ends.
pub async fn serve(
    listen: SocketAddr,
    metrics: Arc<Metrics>,
    liveness: Arc<Liveness>,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(%listen, "serving /metrics and /healthz");
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(healthz))
        .with_state(Shared { metrics, liveness });
    axum::serve(listener, router).await
}

async fn render(State(shared): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shared.metrics.render())
}

async fn healthz(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.liveness.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no window was closed for three window lengths\n")
    }
}

/// Now, by the wall clock.
pub(crate) fn wall_clock() -> jiff::Timestamp {
    jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}
