//! Pages that load, and pages that fail in each way that a page can.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A server on loopback; it ends when this is dropped.
#[derive(Debug)]
pub struct Pages {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Pages {
    /// # Errors
    /// When loopback has no port.
    pub async fn serve() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of loopback")?;
        let address = listener.local_addr()?;
        let pages = router();
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, pages).await;
        });
        Ok(Self { address, server })
    }

    /// The address of a page, such as /good.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A server on loopback whose certificate nobody vouches for.
#[derive(Debug)]
pub struct Untrusted {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Untrusted {
    /// # Errors
    /// When loopback has no port, or no certificate can be made.
    pub async fn serve() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of loopback")?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // No browser gets beyond the handshake.
                tokio::spawn(acceptor.accept(connection));
            }
        });
        Ok(Self { address, server })
    }

    pub fn url(&self) -> String {
        format!("https://{}/", self.address)
    }
}

impl Drop for Untrusted {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router() -> Router {
    Router::new()
        .route("/good", get(|| async { Html("<title>good</title><p>good") }))
        .route("/redirect", get(|| async { Redirect::temporary("/good") }))
        .route("/dialog", get(|| async { Html("<script>alert('wait for me')</script><p>good") }))
        // Its document is complete, though a picture in it never is.
        .route("/picture", get(|| async { Html("<img src=/silent><p>good") }))
        .route("/slow", get(slow))
        .route("/silent", get(std::future::pending::<()>))
        .route("/busy", get(|| async { Html("<script>while (true);</script>") }))
        .route("/500", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, Html("<p>oops")) }))
        .route("/500-without-body", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/404", get(|| async { (StatusCode::NOT_FOUND, Html("<p>not here")) }))
        .route("/redirect-to-500", get(|| async { Redirect::temporary("/500") }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/download", get(download))
}

/// A document that begins and never ends.
async fn slow() -> Response {
    let begin = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"<p>one moment")) });
    let body = Body::from_stream(begin.chain(stream::pending()));
    ([(header::CONTENT_TYPE, "text/html")], body).into_response()
}

async fn download() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=x"),
    ];
    (headers, "x").into_response()
}
