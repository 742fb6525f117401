//! One request and its answer, over a connection of its own, phase by phase.

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tidewatch_crds::canary::IpFamily;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use crate::connect::{ConnectError, Target, add};
use crate::deadline::{Deadline, Elapsed};
use crate::metered::{Heard, Metered};
use crate::prober::Means;
use crate::report::{CheckReport, HttpVersion};
use crate::tls::{Protocols, TlsError, Trust};
use crate::trace::{self, TraceId};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("no answer within {0}: the connection is open but no byte of a response came")]
    Silent(Elapsed),
    #[error("no answer within {0}: a response began, but its headers didn't end")]
    Unfinished(Elapsed),
    #[error("no answer within {0}: the server speaks HTTP/2, but doesn't answer the request")]
    SilentStream(Elapsed),
    #[error("the body didn't end within {after}; {read} bytes of it came")]
    SlowBody { after: Elapsed, read: usize },
    #[error("the server closed the connection without an answer")]
    Closed,
    #[error("the connection broke within the body, after {read} bytes: {why}")]
    BrokenBody { read: usize, why: String },
    #[error("the answer isn't HTTP: {0}")]
    NotHttp(String),
    #[error("the request failed: {0}")]
    Failed(String),
}

pub(super) struct Request {
    pub(super) url: Url,
    pub(super) method: Method,
    /// Login and what the user wrote.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// How much of the body was read, where it is longer.
    pub(super) limit: Option<usize>,
}

/// Sends the requests of one check.
pub(super) struct Client<'a> {
    pub(super) means: &'a Means,
    pub(super) family: Option<IpFamily>,
    pub(super) deadline: Deadline,
    pub(super) trace: Option<TraceId>,
}

type Sent = http::Request<Full<Bytes>>;

impl Client<'_> {
    pub(super) async fn send(
        &self,
        request: &Request,
        trust: &Trust,
        report: &mut CheckReport,
    ) -> Result<Answer, HttpError> {
        let host = request.url.host_str().unwrap_or_default();
        let port = request.url.port_or_known_default().unwrap_or(80);
        let target = Target { host, port, family: self.family };
        let connector = &self.means.connector;
        let stream = connector.connect(target, self.deadline, &mut report.phases, &mut report.ip).await?;
        if request.url.scheme() != "https" {
            return self.exchange(stream, Version::HTTP_11, request, report).await;
        }
        let handshakes = &self.means.handshakes;
        let verified =
            handshakes.verified(stream, host, Protocols::Http, trust, self.deadline, report).await?;
        let version = match verified.stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::HTTP_2,
            _ => Version::HTTP_11,
        };
        self.exchange(verified.stream, version, request, report).await
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        version: Version,
        request: &Request,
        report: &mut CheckReport,
    ) -> Result<Answer, HttpError> {
        let (stream, heard) = Metered::new(stream);
        let tasks = Tasks::default();
        let _end = EndTasks(tasks.clone());
        let began = Instant::now();
        let sent = self.sent(request, version)?;
        let response = self.deadline.within(respond(stream, version, sent, tasks)).await;
        add(&mut report.phases.first_byte, began);
        let response =
            response.map_err(|after| silent(after, version, &heard))?.map_err(|error| why(&error))?;

        report.http_status = Some(response.status().as_u16());
        report.http_version =
            Some(if version == Version::HTTP_2 { HttpVersion::Http2 } else { HttpVersion::Http1 });
        let (head, body) = response.into_parts();
        let began = Instant::now();
        let body = self.body(body).await;
        add(&mut report.phases.body, began);
        let (body, limit) = body?;
        report.body_bytes = u64::try_from(body.len()).ok();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, limit })
    }

    /// The body as far as it is read, and the limit where it is longer than that.
    async fn body(&self, mut body: Incoming) -> Result<(Vec<u8>, Option<usize>), HttpError> {
        let most = self.means.max_body;
        let mut read = Vec::new();
        loop {
            let frame = self.deadline.within(body.frame()).await;
            match frame.map_err(|after| HttpError::SlowBody { after, read: read.len() })? {
                None => return Ok((read, None)),
                Some(Err(error)) => {
                    return Err(HttpError::BrokenBody { read: read.len(), why: in_words(&error) });
                }
                Some(Ok(frame)) => {
                    let Some(data) = frame.data_ref() else { continue };
                    let room = most - read.len();
                    read.extend_from_slice(data.get(..room).unwrap_or(data));
                    if data.len() > room {
                        return Ok((read, Some(most)));
                    }
                }
            }
        }
    }

    fn sent(&self, request: &Request, version: Version) -> Result<Sent, HttpError> {
        let url = &request.url;
        let mut headers = request.headers.clone();
        let host = match headers.remove(header::HOST) {
            Some(host) => host,
            None => HeaderValue::from_str(&authority(url))
                .map_err(|error| HttpError::Failed(error.to_string()))?,
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let uri = if version == Version::HTTP_2 {
            format!("{}://{}{path}", url.scheme(), String::from_utf8_lossy(host.as_bytes()))
        } else {
            headers.insert(header::HOST, host);
            path
        };
        let defaults = [
            (header::USER_AGENT, self.means.user_agent.clone()),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ];
        for (name, value) in defaults {
            headers.entry(name).or_insert(value);
        }
        // RFC 9110, section 8.6: where a body is to be expected, that there is none is said; some servers answer 411 else.
        if request.body.is_none() && [Method::POST, Method::PUT, Method::PATCH].contains(&request.method) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        if let Some(trace) = self.trace {
            let span = trace::span();
            for (name, value) in
                [("traceparent", trace.traceparent(span)), ("x-amzn-trace-id", trace.x_ray(span))]
            {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(name, value);
                }
            }
        }
        let mut sent = http::Request::builder()
            .method(request.method.clone())
            .uri(uri)
            .version(version)
            .body(Full::new(request.body.clone().unwrap_or_default()))
            .map_err(|error| HttpError::Failed(error.to_string()))?;
        *sent.headers_mut() = headers;
        Ok(sent)
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Speaks HTTP over `stream`; what drives the connection is left in `tasks`.
async fn respond<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: Metered<S>,
    version: Version,
    sent: Sent,
    tasks: Tasks,
) -> hyper::Result<http::Response<Incoming>> {
    let io = TokioIo::new(stream);
    if version == Version::HTTP_2 {
        let (mut sender, connection) = http2::Builder::new(tasks.clone()).handshake(io).await?;
        tasks.spawn(async move {
            let _ = connection.await;
        });
        sender.send_request(sent).await
    } else {
        let (mut sender, connection) = http1::handshake(io).await?;
        tasks.spawn(async move {
            let _ = connection.await;
        });
        sender.send_request(sent).await
    }
}

/// What drives a connection. It ends with the exchange, also when a run is dropped: nothing may linger.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

struct EndTasks(Tasks);

impl Drop for EndTasks {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

fn silent(after: Elapsed, version: Version, heard: &Heard) -> HttpError {
    match (heard.anything(), version) {
        (false, _) => HttpError::Silent(after),
        (true, Version::HTTP_2) => HttpError::SilentStream(after),
        (true, _) => HttpError::Unfinished(after),
    }
}

fn why(error: &hyper::Error) -> HttpError {
    if error.is_parse() {
        return HttpError::NotHttp(in_words(error));
    }
    let cut = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).is_some_and(|io| {
        matches!(io.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof)
    });
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || cut {
        return HttpError::Closed;
    }
    HttpError::Failed(in_words(error))
}

/// The error with what it came from: hyper's own words leave that out.
fn in_words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
