//! One request and its answer, over a connection of its own, phase by phase.

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tidewatch_crds::canary::IpFamily;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::answer::{Answer, Size};
use super::decode::{ACCEPTED, Content};
use crate::connect::{ConnectError, Target, add};
use crate::deadline::{Deadline, Elapsed};
use crate::failure::{io_in_words, readable};
use crate::metered::{Heard, Metered};
use crate::prober::Means;
use crate::report::{CheckReport, HttpVersion};
use crate::tls::{ClientAuth, Protocols, Stage, TlsError, TlsSettings};
use crate::trace::{self, TraceId};

/// The longest headers that are taken, bytes, and the most lines of them: the same for each version of HTTP, and more
/// than browsers and curl take (256 KiB and 300 KiB).
const MAX_HEAD: usize = 384 * 1024;
const MAX_FIELDS: usize = 2000;

/// What HTTP/2 counts for each field beside its name and value (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

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
    #[error("the connection broke within the body, after {read} bytes{}", .of.map(|of| format!(" of {of}")).unwrap_or_default())]
    BrokenBody { read: usize, of: Option<u64> },
    #[error(
        "the headers of the answer are longer than {}, or are more than {MAX_FIELDS}: no more are read",
        Size(MAX_HEAD)
    )]
    LongHead,
    #[error("the answer isn't HTTP: it begins with \"{0}\"")]
    NotHttp(String),
    #[error("the answer breaks the rules of HTTP; it begins with \"{0}\"")]
    BadHttp(String),
    #[error("the server broke off: {0}")]
    BrokenOff(String),
    #[error("the answer breaks the rules of HTTP/2, or its headers are longer than {}", Size(MAX_HEAD))]
    BadHttp2,
    #[error("the request failed: {0}")]
    Failed(String),
}

#[derive(Clone)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) method: Method,
    /// Login and what the user wrote.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
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
    /// The answer to `request`. `name` is the name on the server's certificate, where it isn't the host.
    pub(super) async fn send(
        &self,
        request: &Request,
        tls: &TlsSettings,
        name: Option<&str>,
        report: &mut CheckReport,
    ) -> Result<Answer, HttpError> {
        let host = request.url.host_str().unwrap_or_default();
        let port = request.url.port_or_known_default().unwrap_or(80);
        let target = Target { host, port, family: self.family };
        let connector = &self.means.connector;
        let stream = connector.connect(target, self.deadline, &mut report.phases, &mut report.ip).await?;
        if request.url.scheme() != "https" {
            return self.exchange(stream, Version::HTTP_11, None, request, report).await;
        }
        let handshakes = &self.means.handshakes;
        let name = name.unwrap_or(host);
        let verified = handshakes.verified(stream, name, Protocols::Http, tls, self.deadline, report).await?;
        let version = match verified.stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::HTTP_2,
            _ => Version::HTTP_11,
        };
        self.exchange(verified.stream, version, Some(&verified.auth), request, report).await
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        version: Version,
        auth: Option<&ClientAuth>,
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
        let response = response
            .map_err(|after| silent(after, version, &heard))?
            .map_err(|error| of_client(why(&error, &heard), auth, &heard))?;

        report.http_status = Some(response.status().as_u16());
        report.http_version =
            Some(if version == Version::HTTP_2 { HttpVersion::Http2 } else { HttpVersion::Http1 });
        let (head, body) = response.into_parts();
        if is_long(&head.headers) {
            return Err(HttpError::LongHead);
        }
        let began = Instant::now();
        let content = self.content(body).await;
        add(&mut report.phases.body, began);
        let answer = Answer::new(head.status.as_u16(), head.headers, content?, self.means.max_body);
        report.body_bytes = answer.length();
        Ok(answer)
    }

    /// The body as it comes, up to the limit.
    async fn content(&self, mut body: Incoming) -> Result<Content, HttpError> {
        let most = self.means.max_body;
        let of = body.size_hint().exact();
        let mut bytes = Vec::new();
        loop {
            let frame = self.deadline.within(body.frame()).await;
            match frame.map_err(|after| HttpError::SlowBody { after, read: bytes.len() })? {
                None => return Ok(Content { bytes, is_cut: false }),
                Some(Err(_)) => return Err(HttpError::BrokenBody { read: bytes.len(), of }),
                Some(Ok(frame)) => {
                    let Some(data) = frame.data_ref() else { continue };
                    let room = most - bytes.len();
                    bytes.extend_from_slice(data.get(..room).unwrap_or(data));
                    if data.len() > room {
                        return Ok(Content { bytes, is_cut: true });
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
            None => HeaderValue::from_str(&authority(url)).map_err(|_| unsendable())?,
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
        // A part of a body that was compressed couldn't be decoded (Fetch, "HTTP-network-or-cache fetch").
        let accepted = if headers.contains_key(header::RANGE) { "identity" } else { ACCEPTED };
        let defaults = [
            (header::USER_AGENT, self.means.user_agent.clone()),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::ACCEPT_ENCODING, HeaderValue::from_static(accepted)),
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
            .map_err(|_| unsendable())?;
        *sent.headers_mut() = headers;
        Ok(sent)
    }
}

/// The host of a header Host that no address could have, say.
fn unsendable() -> HttpError {
    HttpError::Failed("the address or the header Host has characters that HTTP can't carry".to_owned())
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
        let mut builder = http2::Builder::new(tasks.clone());
        // Beyond this the library ends the stream by itself, without saying why.
        let most = 2 * MAX_HEAD + MAX_FIELDS * FIELD_OVERHEAD;
        builder.max_header_list_size(u32::try_from(most).unwrap_or(u32::MAX));
        let (mut sender, connection) = builder.handshake(io).await?;
        tasks.spawn(async move {
            let _ = connection.await;
        });
        sender.send_request(sent).await
    } else {
        let mut builder = http1::Builder::new();
        builder
            .max_headers(MAX_FIELDS)
            .max_header_size(MAX_HEAD)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true);
        let (mut sender, connection) = builder.handshake(io).await?;
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

fn is_long(headers: &HeaderMap) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    bytes > MAX_HEAD || headers.len() > MAX_FIELDS
}

fn why(error: &hyper::Error, heard: &Heard) -> HttpError {
    if error.is_parse_too_large() {
        return HttpError::LongHead;
    }
    if error.is_parse() {
        let beginning = heard.beginning();
        let shown = readable(&beginning);
        let is_http = beginning.starts_with(b"HTTP/");
        return if is_http { HttpError::BadHttp(shown) } else { HttpError::NotHttp(shown) };
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return HttpError::Closed;
    }
    let source = error.source();
    if let Some(error) = source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        return of_io(error);
    }
    match source.and_then(|source| source.downcast_ref::<h2::Error>()) {
        Some(error) => of_http2(error),
        None => HttpError::Failed("it couldn't be sent".to_owned()),
    }
}

fn of_io(error: &std::io::Error) -> HttpError {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => HttpError::Closed,
        _ => HttpError::Failed(io_in_words(error)),
    }
}

fn of_http2(error: &h2::Error) -> HttpError {
    if let Some(error) = error.get_io() {
        return of_io(error);
    }
    match error.reason() {
        Some(_) if error.is_library() => HttpError::BadHttp2,
        Some(reason) => HttpError::BrokenOff(format!("{} (HTTP/2: {reason:?})", reason.description())),
        None => HttpError::BadHttp2,
    }
}

/// An error that is the server's judgement of the client.
fn of_client(error: HttpError, auth: Option<&ClientAuth>, heard: &Heard) -> HttpError {
    match (auth, heard.alert()) {
        (Some(auth), Some(alert)) => TlsError::of_alert(alert, auth, Stage::Answer).into(),
        (Some(auth), None)
            if auth.was_asked()
                && !heard.anything()
                && matches!(error, HttpError::Closed | HttpError::Failed(_)) =>
        {
            TlsError::of_close(auth, Stage::Answer).into()
        }
        _ => error,
    }
}
