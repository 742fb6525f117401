//! The admin port: makes the service ill and well again, and says how it is.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::mode::Mode;
use crate::stats::Stats;

#[derive(Debug, Clone)]
struct Admin {
    mode: Arc<watch::Sender<Mode>>,
    stats: Arc<Stats>,
}

/// Binds the admin port and serves it in the background.
pub async fn serve(
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    stats: Arc<Stats>,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("{address} can't be bound"))?;
    let router = Router::new()
        .route("/admin/overload", post(overload))
        .route("/admin/normal", post(normal))
        .route("/stats", get(stats_json))
        .route("/healthz", get(|| async { StatusCode::OK }))
        .with_state(Admin { mode: Arc::new(mode), stats });
    Ok(tokio::spawn(async move { axum::serve(listener, router).await }))
}

async fn overload(State(admin): State<Admin>) -> impl IntoResponse {
    set(&admin, Mode::Overload)
}

async fn normal(State(admin): State<Admin>) -> impl IntoResponse {
    set(&admin, Mode::Normal)
}

fn set(admin: &Admin, mode: Mode) -> impl IntoResponse + use<> {
    admin.mode.send_replace(mode);
    tracing::info!(?mode, "mode set");
    json_of(&json!({ "mode": mode }))
}

async fn stats_json(State(admin): State<Admin>) -> impl IntoResponse {
    let mode = *admin.mode.borrow();
    json_of(&json!({ "mode": mode, "stats": admin.stats.snapshot() }))
}

fn json_of(value: &Value) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string())
}
