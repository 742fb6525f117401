//! Handlers: file and function of a script.

use crate::refusal::Refusal;
use crate::runtime::RuntimeVersion;

/// Whether `handler` is one for `runtime`, such as index.handler.
///
/// # Errors
/// When it isn't.
pub fn handler(handler: &str, runtime: &RuntimeVersion) -> Result<(), Refusal> {
    let _ = runtime;
    match handler.rsplit_once('.') {
        Some((file, function)) if !file.is_empty() && !function.is_empty() => Ok(()),
        _ => Err(Refusal::new(
            "spec.script.handler",
            "not a handler: write file and function, such as index.handler",
        )),
    }
}
