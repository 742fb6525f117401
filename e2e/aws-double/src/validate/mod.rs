//! What AWS refuses: by the model's shapes for every operation alike, and by rules that the model doesn't state, one
//! function a rule.

mod actions;
pub(crate) mod canary;
pub(crate) mod composite_alarm;
pub(crate) mod detector;
pub(crate) mod identity;
pub(crate) mod metric_alarm;
pub(crate) mod metric_data;
pub(crate) mod mute_rule;
pub(crate) mod queries;
mod shapes;

pub(crate) use shapes::check;

use crate::error::ApiError;

/// What a rule says.
pub(crate) type Verdict = Result<(), ApiError>;

/// `Ok` if it holds, else a ValidationError that says what doesn't.
fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(ApiError::validation(otherwise())) }
}
