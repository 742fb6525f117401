//! One call to AWS: its turn, its count, and what went wrong with it. The SDK's own retries are off: when to try again is
//! decided for each object, and a retry inside a call would go past the buckets.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::error::{AwsError, ErrorKind, kind_of_refusal};
use super::metrics::CallMetrics;
use super::pace::{Pacer, Service};

/// Calls of one service, in one account and Region.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub service: Service,
    /// The account that is billed for the calls, as far as it is known: the role's, or nothing for our own.
    pub account: String,
    pub region: String,
    /// The role that is assumed, if one is.
    pub role: Option<String>,
    pub pacer: Pacer,
    pub metrics: CallMetrics,
}

impl Caller {
    /// Makes one call: waits for its slot, counts it, and classifies what went wrong.
    pub(super) async fn call<T, E, F>(&self, operation: &'static str, call: F) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        if let Err(wait) = self.pacer.slot(self.service, &self.account, &self.region, operation).await {
            return Err(AwsError {
                retry_after: Some(wait),
                ..AwsError::local(
                    operation,
                    &self.region,
                    ErrorKind::Throttled,
                    // Without a number: the status would be written anew each time.
                    "too many calls to AWS are queued; it is tried again",
                )
            });
        }
        let result = call.await.map_err(|error| self.classify(operation, error));
        self.metrics.count(operation, result.as_ref().err().map(|error| error.kind));
        if let Err(AwsError { kind: ErrorKind::Throttled, .. }) = &result {
            self.pacer.throttled(self.service, &self.account, &self.region, operation);
        }
        result
    }

    fn classify<E>(&self, operation: &'static str, error: SdkError<E, HttpResponse>) -> AwsError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (kind, code, message) = match &error {
            SdkError::ServiceError(context) => {
                let code = context.err().code().unwrap_or_default().to_owned();
                let message = context.err().message().unwrap_or("AWS gave no reason").to_owned();
                (kind_of_refusal(operation, &code, status), code, message)
            }
            SdkError::ResponseError(_) => {
                (kind_of_refusal(operation, "", status), String::new(), text(&error))
            }
            _ => unanswered(&error, self.role.as_deref()),
        };
        AwsError { operation, region: self.region.clone(), kind, code, message, retry_after: None }
    }

    pub(super) fn untold(&self, operation: &'static str, what: &str) -> AwsError {
        AwsError::local(operation, &self.region, ErrorKind::Retry, format!("AWS answered without {what}"))
    }
}

/// No answer: there were no credentials to sign with, or nobody was reached.
fn unanswered(error: &(dyn std::error::Error + 'static), role: Option<&str>) -> (ErrorKind, String, String) {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if this.downcast_ref::<CredentialsError>().is_some() {
            let said = text(this);
            // A role that may not be assumed is a right that is missing, not a credential that ran out.
            let kind = if said.contains("AccessDenied") { ErrorKind::Denied } else { ErrorKind::Credentials };
            let said = role.map_or(said.clone(), |role| format!("role {role} can't be assumed: {said}"));
            return (kind, String::new(), said);
        }
        cause = this.source();
    }
    (ErrorKind::Retry, String::new(), text(error))
}

/// The chain of causes. The SDK repeats it as a debug print; people don't need that, nor more than this.
fn text(error: &(dyn std::error::Error + 'static)) -> String {
    let said = DisplayErrorContext(error).to_string();
    let again = format!(" ({error:?})");
    said.strip_suffix(&again).unwrap_or(&said).chars().take(400).collect()
}

/// What was to be deleted and isn't there is deleted.
pub(super) fn gone(result: Result<(), AwsError>) -> Result<(), AwsError> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
