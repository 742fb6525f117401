//! Servers of HTTP, which remember what they were asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::tcp::serve_at;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) version: Version,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) type Reply = Response<Full<Bytes>>;

// One type for all servers: each that is compiled anew costs seconds.
type Answer = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen[0].clone()
    }
}

pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

pub(crate) fn redirect(status: u16, to: &str) -> Reply {
    Response::builder().status(status).header("location", to).body(Full::default()).unwrap()
}

pub(crate) async fn serve(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    start("127.0.0.1:0", None, Arc::new(answer)).await
}

pub(crate) async fn serve_at_address(
    address: &str,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Server {
    start(address, None, Arc::new(answer)).await
}

pub(crate) async fn serve_tls(
    acceptor: TlsAcceptor,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Server {
    start("127.0.0.1:0", Some(acceptor), Arc::new(answer)).await
}

async fn start(address: &str, acceptor: Option<TlsAcceptor>, answer: Answer) -> Server {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let address = serve_at(address, move |stream| {
        let (acceptor, into, answer) = (acceptor.clone(), Arc::clone(&into), Arc::clone(&answer));
        async move {
            match acceptor {
                None => talk(stream, false, into, answer).await,
                Some(acceptor) => {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    talk(stream, http2, into, answer).await;
                }
            }
        }
    })
    .await;
    Server { address, seen }
}

async fn talk<S>(stream: S, http2: bool, seen: Arc<Mutex<Vec<Seen>>>, answer: Answer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let request = Seen {
                method: head.method,
                path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
                headers: head.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
                version: head.version,
            };
            seen.lock().unwrap().push(request.clone());
            Ok::<_, Infallible>(answer(&request))
        }
    });
    let io = TokioIo::new(stream);
    let _ = if http2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
    } else {
        http1::Builder::new().serve_connection(io, service).await
    };
}
