//! The check of TLS.

use jiff::Timestamp;

use super::certificate::Chain;
use super::handshake::Protocols;
use crate::connect::Target;
use crate::deadline::Span;
use crate::failure::Failure;
use crate::plan::TlsPlan;
use crate::prober::Course;

pub(crate) async fn run(plan: &TlsPlan, course: Course<'_>) -> Result<(), Failure> {
    let host = plan.host.render(course.variables);
    let name = plan.server_name.render(course.variables);
    let target = Target { host: &host, port: plan.port, family: course.family };
    let report = course.report;
    let stream = course
        .means
        .connector
        .connect(target, course.deadline, &mut report.phases, &mut report.ip)
        .await
        .map_err(Failure::new)?;
    let mut verified = course
        .means
        .handshakes
        .verified(stream, &name, Protocols::Any, &plan.tls, course.deadline, report)
        .await
        .map_err(Failure::new)?;
    verified.client_judged(course.deadline).await.map_err(Failure::new)?;
    judge(plan, &verified.chain, Timestamp::now())
}

fn judge(plan: &TlsPlan, chain: &Chain, now: Timestamp) -> Result<(), Failure> {
    if let Some(least) = plan.min_validity {
        if chain.is_empty() {
            return Err(Failure::new("the server's certificate isn't understood"));
        }
        if let Some(ends) = chain.ends_within(least, now) {
            let expected = format!("valid for at least {}", days(least));
            return Err(Failure::unmet(format!("{ends}, expected to be {expected}"), expected, ends));
        }
    }
    contains("subject", chain.subject(), plan.subject_contains.as_deref())?;
    contains("issuer", chain.issuer(), plan.issuer_contains.as_deref())
}

fn days(span: std::time::Duration) -> String {
    match span.as_secs() {
        seconds if seconds >= 86_400 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        _ => Span(span).to_string(),
    }
}

fn contains(what: &str, got: &str, wanted: Option<&str>) -> Result<(), Failure> {
    match wanted {
        Some(wanted) if !got.contains(wanted) => Err(Failure::unmet(
            format!("the certificate's {what} is {got:?}, expected to contain {wanted:?}"),
            format!("{what} contains {wanted}"),
            got,
        )),
        _ => Ok(()),
    }
}
