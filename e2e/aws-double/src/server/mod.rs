//! The HTTP side: connections on loopback, each served until the double is dropped.

mod admin;
mod body;
mod dispatch;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
pub(crate) use dispatch::Core;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use crate::hold::Hold;

/// What becomes of a request.
pub(crate) enum Answer {
    Response(Response<Bytes>),
    /// The connection ends here.
    Close,
    /// The call is held; then it gets this answer, or is run only then.
    Held(Hold, Option<Response<Bytes>>),
}

/// Stops the server, and with it every connection, when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(crate) async fn start(address: SocketAddr, core: Arc<Core>) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, core)).abort_handle();
        Ok(Self { address, accepting })
    }
}

async fn accept(listener: TcpListener, core: Arc<Core>) {
    // Aborting this task drops the set, which aborts the connections.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let core = Arc::clone(&core);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&core), request));
            let served =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A connection that a fault closes ends with an error; that is its purpose.
            let _ = served.await;
        });
    }
}

/// The client is to see its connection closed.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body::read(&parts, body).await;
    match core.answer(&parts, body.clone()) {
        Answer::Response(response) => Ok(response.map(Full::new)),
        Answer::Close => Err(Closed),
        Answer::Held(hold, then) => {
            // In a task of its own: it goes on even if the caller, whose connection this is, has gone meanwhile.
            let held = tokio::spawn(async move {
                let done = hold.until_let_go().await?;
                let mut answer = then.map_or_else(|| core.resume(&parts, body), Answer::Response);
                let _ = done.send(());
                // Another fault may hold what has been done meanwhile.
                if let Answer::Held(hold, then) = answer {
                    let done = hold.until_let_go().await?;
                    answer = then.map_or(Answer::Close, Answer::Response);
                    let _ = done.send(());
                }
                Some(answer)
            });
            match held.await {
                Ok(Some(Answer::Response(response))) => Ok(response.map(Full::new)),
                _ => Err(Closed),
            }
        }
    }
}
