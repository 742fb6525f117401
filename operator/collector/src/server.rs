//! The listener: TCP, TLS, and HTTP/2 within bounds.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tower::Service;

use super::limits::Limits;
use super::metrics::Metrics;

/// After `accept` failed (out of file descriptors, mostly), a rest before the next.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves `service` on `listener` until `cancel`; then lets open requests end.
pub(super) async fn serve<S>(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    service: S,
    limits: Limits,
    metrics: Metrics,
    cancel: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let (accepted, mut connections) = mpsc::channel(16);
    let accepting =
        tokio::spawn(accept(listener, TlsAcceptor::from(tls), limits, metrics, accepted, cancel.clone()));
    let incoming =
        stream::poll_fn(move |cx| connections.poll_recv(cx).map(|next| next.map(Ok::<_, io::Error>)));
    let served = Server::builder()
        .timeout(limits.request_timeout)
        .max_concurrent_streams(limits.streams_per_connection)
        .concurrency_limit_per_connection(usize::try_from(limits.streams_per_connection).unwrap_or(8))
        // Bounds the memory that a connection can take before its caller is known.
        .initial_stream_window_size(128 << 10)
        .initial_connection_window_size(256 << 10)
        .http2_max_header_list_size(32 << 10)
        .http2_keepalive_interval(Some(limits.keepalive))
        .http2_keepalive_timeout(Some(limits.keepalive))
        .serve_with_incoming_shutdown(service, incoming, cancel.cancelled_owned())
        .await;
    accepting.abort();
    served
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    limits: Limits,
    metrics: Metrics,
    accepted: mpsc::Sender<Connection>,
    cancel: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let (tcp, peer) = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "can't accept connections of agents");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            },
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            metrics.handshake("no_room");
            continue;
        };
        let open = Open::new(permit, metrics.clone());
        tokio::spawn(handshake(tcp, peer, tls.clone(), limits.handshake_timeout, open, accepted.clone()));
    }
}

async fn handshake(
    tcp: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    limit: Duration,
    open: Open,
    accepted: mpsc::Sender<Connection>,
) {
    let _ = tcp.set_nodelay(true);
    match tokio::time::timeout(limit, tls.accept(tcp)).await {
        Ok(Ok(stream)) => {
            open.metrics.handshake("ok");
            let _ = accepted.send(Connection { stream, _open: open }).await;
        }
        Ok(Err(error)) => {
            open.metrics.handshake("failed");
            tracing::debug!(%peer, %error, "TLS handshake failed");
        }
        Err(_) => open.metrics.handshake("timeout"),
    }
}

/// Counts the connection for as long as it is open.
struct Open {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Open {
    fn new(permit: OwnedSemaphorePermit, metrics: Metrics) -> Self {
        metrics.connections.inc();
        Self { _permit: permit, metrics }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

struct Connection {
    stream: TlsStream<TcpStream>,
    _open: Open,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
