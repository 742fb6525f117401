//! Faults on demand.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::model::{Model, Operation};

/// Something to go wrong with calls to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `PutMetricAlarm`, or `synthetics:TagResource` where services share a name; none is any operation.
    #[serde(default)]
    pub operation: Option<String>,
    /// Matching calls that are let through first.
    #[serde(default)]
    pub skip: u32,
    /// Calls that it meets after those.
    #[serde(default = "once")]
    pub times: u32,
    pub kind: FaultKind,
}

fn once() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    Throttle,
    /// Status 500; nothing is applied.
    ServerError,
    /// Status 503; nothing is applied.
    Unavailable,
    /// The connection is closed, nothing is applied.
    DropBefore,
    /// The call is applied, and the connection closed without an answer.
    DropAfter,
    Denied,
    ExpiredCredentials,
    NotFound,
    QuotaExceeded,
    /// AWS doesn't take what is asked for, for a reason that the double doesn't model.
    Invalid,
    /// Reads see the write only this much later.
    Lag(SignedDuration),
    /// The call is held before anything of it is done, until it is let go or forgotten (`Double::let_go`).
    HoldBefore,
    /// The call is applied, and its answer is held until it is let go or forgotten.
    HoldAfter,
}

impl Fault {
    /// Meets the next call of `operation`, once.
    pub fn once(operation: &str, kind: FaultKind) -> Self {
        Self { operation: Some(operation.to_owned()), skip: 0, times: 1, kind }
    }
}

/// The faults that wait, in the order they were injected.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The fault that meets this call, if any. A fault that still lets calls through leaves the call to the next one. A call
    /// that was held before isn't held again.
    pub(crate) fn meet(&mut self, service: &str, operation: &str, was_held: bool) -> Option<FaultKind> {
        let named = |name: &str| match name.split_once(':') {
            Some((one, name)) => one == service && name == operation,
            None => name == operation,
        };
        let mut met = None;
        for fault in &mut self.waiting {
            let held_again = was_held && fault.kind == FaultKind::HoldBefore;
            if fault.times == 0 || held_again || !fault.operation.as_deref().is_none_or(named) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times -= 1;
            met = Some(fault.kind);
            break;
        }
        self.waiting.retain(|fault| fault.times > 0);
        met
    }
}

impl FaultKind {
    /// The refusal that it is, unless it is none.
    pub(crate) fn refusal(self, model: &Model, operation: &Operation, principal: &str) -> Option<ApiError> {
        let name = &operation.name;
        let modelled = |candidates: &[&'static str], otherwise: &'static str| {
            candidates.iter().copied().find(|shape| operation.models(shape)).unwrap_or(otherwise)
        };
        Some(match self {
            Self::Throttle => throttled(operation),
            Self::ServerError => ApiError::new("InternalServiceFault", "The request processing has failed."),
            Self::Unavailable => ApiError::new("ServiceUnavailable", "The request has failed temporarily."),
            Self::Denied => {
                // IAM's name for the service that signs as "monitoring".
                let service =
                    if model.signing_name == "monitoring" { "cloudwatch" } else { &model.signing_name };
                let action = format!("{service}:{name}");
                ApiError::new(
                    "AccessDenied",
                    format!(
                        "User: {principal} is not authorized to perform: {action} because no identity-based policy \
                         allows the {action} action"
                    ),
                )
            }
            Self::ExpiredCredentials => expired(),
            Self::NotFound => {
                let shape = modelled(
                    &["ResourceNotFoundException", "ResourceNotFound", "NotFoundException"],
                    "ResourceNotFound",
                );
                ApiError::new(shape, "The named resource does not exist.")
            }
            Self::QuotaExceeded => {
                let otherwise =
                    if model.query_codes { "LimitExceededFault" } else { "ServiceQuotaExceededException" };
                let shape = modelled(&["LimitExceededException", "LimitExceededFault"], otherwise);
                ApiError::new(shape, "The quota for this resource has been reached.")
            }
            Self::Invalid => ApiError::validation("The request isn't valid."),
            Self::DropBefore | Self::DropAfter | Self::Lag(_) | Self::HoldBefore | Self::HoldAfter => {
                return None;
            }
        })
    }
}

pub(crate) fn throttled(operation: &Operation) -> ApiError {
    let modelled = operation.models("TooManyRequestsException");
    ApiError::new(if modelled { "TooManyRequestsException" } else { "Throttling" }, "Rate exceeded")
}

pub(crate) fn expired() -> ApiError {
    ApiError::new("ExpiredToken", "The security token included in the request is expired")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_met_in_the_order_of_injection_each_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.inject(Fault { operation: None, skip: 2, times: 1, kind: FaultKind::Denied });
        faults.inject(Fault {
            operation: Some("PutMetricAlarm".into()),
            skip: 0,
            times: 2,
            kind: FaultKind::Throttle,
        });
        let met: Vec<_> =
            ["DescribeAlarms", "PutMetricAlarm", "PutMetricAlarm", "PutMetricAlarm", "PutMetricAlarm"]
                .map(|operation| faults.meet("monitoring", operation, false))
                .into();
        let throttle = Some(FaultKind::Throttle);
        assert_eq!(met, [None, throttle, Some(FaultKind::Denied), throttle, None]);
        faults.inject(Fault::once("synthetics:TagResource", FaultKind::Denied));
        assert_eq!(faults.meet("monitoring", "TagResource", false), None);
        assert_eq!(faults.meet("synthetics", "TagResource", false), Some(FaultKind::Denied));
    }
}
