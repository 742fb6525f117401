//! Checks that the clocks agree: this machine's, the API server's, and that of the node where the operator runs.

use super::operator::holder_and_renewal;
use super::{Check, Collected, Finding};
use crate::age::length;

/// Greatest difference between two clocks that is in order. Certificates, tokens and signatures of AWS are refused beyond a
/// few minutes.
const MOST_SECONDS: i64 = 30;

pub(super) fn check(collected: &Collected) -> Check {
    let mut findings = Vec::new();
    let server = match &collected.server_time {
        Ok(server) => *server,
        Err(error) => {
            let finding = Finding::unchecked("The API server's clock", error);
            return Check::new("Clocks", vec![finding], String::new);
        }
    };
    let ahead = collected.now.as_second() - server.as_second();
    if ahead.abs() > MOST_SECONDS {
        let direction = if ahead > 0 { "ahead of" } else { "behind" };
        findings.push(Finding::warning(
            format!(
                "This machine's clock is {} {direction} the API server's: ages that tidewatch shows here are wrong.",
                length(ahead.abs())
            ),
            "Synchronise this machine's clock by NTP, or the control plane's if that is the wrong one.",
        ));
    }
    let lease = collected.lease.as_ref().ok().and_then(Option::as_ref);
    if let Some((holder, Some(renewed))) = lease.map(holder_and_renewal) {
        let future = renewed.as_second() - server.as_second();
        if future > MOST_SECONDS {
            findings.push(Finding::problem(
                format!("The clock where the operator {holder} runs is {} ahead of the API server's.", length(future)),
                "Synchronise the clocks of the nodes by NTP: windows of agents whose clocks differ are refused.",
            ));
        }
    }
    Check::new("Clocks", findings, || {
        format!("This machine's clock and the API server's agree within {MOST_SECONDS} s.")
    })
}
