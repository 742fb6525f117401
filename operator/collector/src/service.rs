//! The OTLP/gRPC service: a caller is known before a byte of its body is read.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::{Code, Request, Response, Status};
use tower::Service;

use super::auth::{Agent, AuthError, Authenticator};
use super::clock::Clock;
use super::ingest::Ingest;
use super::limits::Limits;
use super::metrics::Metrics;

/// A request waits this long for room to be decoded, then its agent is told to come back: before it gives up by itself.
const ROOM: Duration = Duration::from_secs(5);

/// Requests with more records than this (an agent sends 500 at most) are taken off the threads that serve connections.
const INLINE_RECORDS: usize = 1024;

/// Keeps what authenticated agents export.
#[derive(Clone)]
pub(super) struct Logs {
    ingest: Ingest,
    clock: Arc<dyn Clock>,
}

#[tonic::async_trait]
impl LogsService for Logs {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let agent = request.extensions().get::<Agent>().cloned();
        let agent = agent.ok_or_else(|| Status::unauthenticated("the request wasn't authenticated"))?;
        if !self.ingest.cluster.read().synced() {
            return Err(Status::unavailable("the collector doesn't know the cluster yet: try again"));
        }
        let now = self.clock.now();
        let request = request.into_inner();
        let records: usize = request
            .resource_logs
            .iter()
            .flat_map(|r| &r.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum();
        let outcome = if records <= INLINE_RECORDS {
            self.ingest.take(&request, &agent.node, now)
        } else {
            let ingest = self.ingest.clone();
            tokio::task::spawn_blocking(move || ingest.take(&request, &agent.node, now))
                .await
                .map_err(|error| Status::internal(format!("the records were not kept: {error}")))?
        };
        Ok(Response::new(outcome.response()))
    }
}

/// The whole service, as the listener runs it.
pub(super) fn service(
    ingest: Ingest,
    clock: Arc<dyn Clock>,
    authenticator: Arc<Authenticator>,
    limits: &Limits,
) -> Authenticated<LogsServiceServer<Logs>> {
    let metrics = ingest.metrics.clone();
    let inner = LogsServiceServer::new(Logs { ingest, clock })
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limits.message_bytes);
    Authenticated { inner, authenticator, room: Arc::new(Semaphore::new(limits.requests)), metrics }
}

/// Lets agents through to `inner`, with [`Agent`] among the request's extensions.
#[derive(Clone)]
pub(super) struct Authenticated<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
    room: Arc<Semaphore>,
    metrics: Metrics,
}

impl<S> Service<http::Request<Body>> for Authenticated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // The one that is ready goes with the request; its clone stays (tower's rule).
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let (authenticator, room, metrics) =
            (self.authenticator.clone(), self.room.clone(), self.metrics.clone());
        Box::pin(async move {
            let header =
                request.headers().get(http::header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
            let agent = match authenticator.authenticate(header.as_deref()).await {
                Ok(agent) => agent,
                Err(error) => return Ok(refuse(&metrics, &error)),
            };
            let Ok(Ok(_room)) = tokio::time::timeout(ROOM, room.acquire_owned()).await else {
                metrics.request("busy");
                return Ok(Status::unavailable("the collector is busy: try again").into_http());
            };
            request.extensions_mut().insert(agent);
            let response = inner.call(request).await?;
            metrics.request(outcome(&response));
            Ok(response)
        })
    }
}

fn refuse(metrics: &Metrics, error: &AuthError) -> http::Response<Body> {
    match error {
        AuthError::Denied(denial) => {
            metrics.request("unauthenticated");
            tracing::debug!(%denial, "refused an export request");
            Status::unauthenticated(denial.to_string()).into_http()
        }
        AuthError::Unavailable(why) => {
            metrics.request("unavailable");
            tracing::debug!(why, "could not authenticate an export request");
            Status::unavailable(why.clone()).into_http()
        }
    }
}

/// Label for a request's outcome, one of few words. A unary error is in the headers (gRPC's Trailers-Only).
fn outcome(response: &http::Response<Body>) -> &'static str {
    let code =
        response.headers().get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()));
    match code {
        Code::Ok => "ok",
        Code::Unauthenticated => "unauthenticated",
        Code::Unavailable => "unavailable",
        // tonic's code for a body over the limit, decompressed or not.
        Code::OutOfRange | Code::ResourceExhausted => "too_large",
        Code::Cancelled | Code::DeadlineExceeded => "timeout",
        // A body that is cut short, or no protobuf, or of no compression that is known.
        Code::Internal | Code::InvalidArgument | Code::DataLoss => "undecodable",
        Code::Unimplemented => "unknown_method",
        _ => "other",
    }
}
