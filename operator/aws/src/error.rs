//! What AWS refused, and what kind of refusal it is.

use std::time::Duration;

use tidewatch_kube::reconcile::{Classify, ErrorClass};

/// What kind of refusal it is; decides what the object says and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is wrong: only a change of the spec helps.
    Terminal,
    /// May pass by itself.
    Retry,
    /// Too many requests.
    Throttled,
    /// A right is missing.
    Denied,
    /// What was named isn't there.
    NotFound,
    /// Somebody changed it at the same time.
    Conflict,
    /// It can't be deleted while something else in AWS refers to it.
    InUse,
    /// The account's quota is used up.
    Quota,
    /// No credentials, or they are no longer valid.
    Credentials,
}

/// A call that failed. Cheap to clone: a batch's failure goes to each that waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} in {region}: {}{message}", if code.is_empty() { String::new() } else { format!("{code}: ") })]
pub struct AwsError {
    pub operation: &'static str,
    pub region: String,
    pub kind: ErrorKind,
    /// AWS's code; empty when there was no answer.
    pub code: String,
    /// What AWS said, or why there was no answer.
    pub message: String,
    /// How long to wait, where that is known.
    pub retry_after: Option<Duration>,
}

impl AwsError {
    /// An error that was made here, not by AWS.
    pub fn local(operation: &'static str, region: &str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            operation,
            region: region.to_owned(),
            kind,
            code: String::new(),
            message: message.into(),
            retry_after: None,
        }
    }
}

impl AwsError {
    /// It stands until somebody changes the spec, grants a right or raises a quota.
    pub fn lasts(&self) -> bool {
        matches!(self.kind, ErrorKind::Terminal | ErrorKind::Denied | ErrorKind::Quota)
    }
}

impl Classify for AwsError {
    fn class(&self) -> ErrorClass {
        match self.kind {
            ErrorKind::Terminal => ErrorClass::Terminal,
            // That something refers to it passes once that something goes or changes.
            ErrorKind::Retry | ErrorKind::InUse => ErrorClass::Retry,
            ErrorKind::Throttled => ErrorClass::Throttled(self.retry_after),
            // Somebody must grant or raise something: asking often doesn't help.
            ErrorKind::Denied | ErrorKind::Quota => ErrorClass::Denied,
            ErrorKind::Credentials => ErrorClass::Throttled(None),
            ErrorKind::NotFound => ErrorClass::NotFound,
            ErrorKind::Conflict => ErrorClass::Conflict,
        }
    }
}

/// The kind of a refusal of `operation`. What is deleted is named by what AWS itself told before, so that a deletion that
/// is refused as invalid is one of something that others refer to (DeleteAlarms answers ValidationError for a child of a
/// composite alarm).
pub(super) fn kind_of_refusal(operation: &str, code: &str, status: Option<u16>) -> ErrorKind {
    match kind_of(code, status) {
        ErrorKind::Terminal if operation.starts_with("Delete") => ErrorKind::InUse,
        kind => kind,
    }
}

/// The kind that AWS's `code` stands for, or that the HTTP status suggests. Services write the same code with and
/// without `Exception`, `Error` and `Fault`.
fn kind_of(code: &str, status: Option<u16>) -> ErrorKind {
    let stem = code.rsplit('#').next().unwrap_or(code);
    let stem = ["Exception", "Fault", "Error"]
        .iter()
        .find_map(|suffix| stem.strip_suffix(suffix).filter(|stem| !stem.is_empty()))
        .unwrap_or(stem);
    match stem {
        "Throttling"
        | "Throttled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "RequestThrottled"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => ErrorKind::Throttled,
        "Conflict" | "ResourceConflict" | "ConcurrentModification" | "OperationAborted" => {
            ErrorKind::Conflict
        }
        // Their status would say that the request was wrong. A page's token has run out: the list is read anew.
        "RequestTimeout" | "InvalidNextToken" => ErrorKind::Retry,
        "ResourceNotFound" | "NotFound" => ErrorKind::NotFound,
        "Validation"
        | "InvalidParameterValue"
        | "InvalidParameterCombination"
        | "MissingParameter"
        | "MissingRequiredParameter"
        | "InvalidFormat"
        | "BadRequest"
        | "RequestEntityTooLarge"
        | "InvalidParameter"
        | "Serialization" => ErrorKind::Terminal,
        "LimitExceeded" | "ServiceQuotaExceeded" => ErrorKind::Quota,
        "AccessDenied" | "UnauthorizedOperation" | "NotAuthorized" | "OptInRequired" => ErrorKind::Denied,
        "ExpiredToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidAccessKeyId"
        | "AuthFailure"
        | "InvalidSignature"
        | "IncompleteSignature" => ErrorKind::Credentials,
        _ => match status {
            Some(429) => ErrorKind::Throttled,
            Some(401 | 403) => ErrorKind::Denied,
            Some(404) => ErrorKind::NotFound,
            Some(408) => ErrorKind::Retry,
            Some(400..=499) => ErrorKind::Terminal,
            _ => ErrorKind::Retry,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_the_same_with_and_without_its_suffix() {
        for (code, kind) in [
            ("Throttling", ErrorKind::Throttled),
            ("ThrottlingException", ErrorKind::Throttled),
            ("ValidationError", ErrorKind::Terminal),
            ("ValidationException", ErrorKind::Terminal),
            ("InvalidParameterValue", ErrorKind::Terminal),
            ("LimitExceeded", ErrorKind::Quota),
            ("LimitExceededException", ErrorKind::Quota),
            ("LimitExceededFault", ErrorKind::Quota),
            ("ResourceNotFound", ErrorKind::NotFound),
            ("ResourceNotFoundException", ErrorKind::NotFound),
            ("AccessDenied", ErrorKind::Denied),
            ("ExpiredTokenException", ErrorKind::Credentials),
            ("InternalServiceError", ErrorKind::Retry),
            ("ServiceUnavailable", ErrorKind::Retry),
        ] {
            assert_eq!(kind_of(code, None), kind, "{code}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_though_its_status_is_the_client_s() {
        for (code, status, kind) in [
            ("RequestTimeout", 400, ErrorKind::Retry),
            ("RequestTimeoutException", 408, ErrorKind::Retry),
            ("", 408, ErrorKind::Retry),
            ("InvalidNextToken", 400, ErrorKind::Retry),
            ("InternalFailure", 500, ErrorKind::Retry),
            ("OperationAbortedException", 400, ErrorKind::Conflict),
            ("RequestTimeTooSkewed", 403, ErrorKind::Credentials),
            ("InvalidAccessKeyId", 403, ErrorKind::Credentials),
            ("AuthFailure", 401, ErrorKind::Credentials),
        ] {
            assert_eq!(kind_of(code, Some(status)), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_deletion_that_is_refused_as_invalid_is_of_something_in_use() {
        for (operation, kind) in [
            ("DeleteAlarms", ErrorKind::InUse),
            ("DeleteCanary", ErrorKind::InUse),
            ("PutCompositeAlarm", ErrorKind::Terminal),
        ] {
            assert_eq!(kind_of_refusal(operation, "ValidationError", Some(400)), kind, "{operation}");
        }
        assert_eq!(kind_of_refusal("DeleteAlarms", "Throttling", Some(400)), ErrorKind::Throttled);
    }

    #[test]
    fn an_unknown_code_is_judged_by_the_http_status() {
        assert_eq!(kind_of("Strange", Some(400)), ErrorKind::Terminal);
        assert_eq!(kind_of("Strange", Some(500)), ErrorKind::Retry);
        assert_eq!(kind_of("", Some(429)), ErrorKind::Throttled);
        assert_eq!(kind_of("", None), ErrorKind::Retry);
    }
}
