//! The check of TCP.

use std::fmt;

use data_encoding::HEXLOWER;
use memchr::memmem;
use tidewatch_crds::canary::Encoding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::connect::{Target, add};
use crate::deadline::Elapsed;
use crate::failure::{Failure, io_in_words, readable};
use crate::plan::TcpPlan;
use crate::prober::{Course, too_long};

/// How much of an answer is read, bytes: it is searched anew with each piece that comes.
const MAX_ANSWER: usize = 64 * 1024;

/// Why a conversation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum TcpError {
    #[error("sending timed out after {0}: the connection is open, but the server doesn't read")]
    SendTimeout(Elapsed),
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Why no more is read.
enum End {
    /// Enough is known.
    Enough,
    /// The server closed the connection.
    Closed,
    TimedOut(Elapsed),
    /// More than is read of any answer.
    TooLong,
}

pub(crate) async fn run(plan: &TcpPlan, course: Course<'_>) -> Result<(), Failure> {
    let began = Instant::now();
    let host = plan.host.render(course.variables);
    let target = Target { host: &host, port: plan.port, family: course.family };
    let report = course.report;
    let deadline = course.deadline;
    let mut stream = course
        .means
        .connector
        .connect(target, deadline, &mut report.phases, &mut report.ip)
        .await
        .map_err(Failure::new)?;
    if let Some(bytes) = &plan.send {
        deadline
            .within(stream.write_all(bytes))
            .await
            .map_err(|after| Failure::new(TcpError::SendTimeout(after)))?
            .map_err(|error| Failure::new(TcpError::Broken(io_in_words(&error))))?;
    }
    if plan.listens() {
        let asked = Instant::now();
        let mut answer = Vec::new();
        let mut first = None;
        let read = read(plan, &mut stream, &mut answer, &mut first, course.means.max_body.min(MAX_ANSWER));
        let end = match deadline.within(read).await {
            Ok(end) => end.map_err(|error| Failure::new(TcpError::Broken(io_in_words(&error))))?,
            Err(after) => End::TimedOut(after),
        };
        match first {
            Some(first) => {
                report.phases.first_byte = Some(first - asked);
                add(&mut report.phases.body, first);
            }
            None => add(&mut report.phases.first_byte, asked),
        }
        report.body_bytes = u64::try_from(answer.len()).ok();
        judge(plan, &answer, &end)?;
    }
    too_long(began.elapsed(), plan.max_duration)
}

/// Reads until enough is known, or nothing more comes. A connection that is reset after something came has said that.
async fn read(
    plan: &TcpPlan,
    stream: &mut TcpStream,
    answer: &mut Vec<u8>,
    first: &mut Option<Instant>,
    limit: usize,
) -> std::io::Result<End> {
    let mut buffer = [0; 4096];
    loop {
        let length = match stream.read(&mut buffer).await {
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error),
        };
        if length == 0 {
            return Ok(End::Closed);
        }
        first.get_or_insert_with(Instant::now);
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if decided(plan, answer) {
            return Ok(End::Enough);
        }
        if answer.len() >= limit {
            return Ok(End::TooLong);
        }
    }
}

/// Whether all holds, or what must stand at the beginning doesn't.
fn decided(plan: &TcpPlan, answer: &[u8]) -> bool {
    let wrong_start = plan.starts_with.as_deref().is_some_and(|start| {
        let common = answer.len().min(start.len());
        answer.get(..common) != start.get(..common)
    });
    wrong_start || unmet(plan, answer).is_none()
}

/// The first expectation that doesn't hold.
enum Unmet<'a> {
    StartsWith(&'a [u8]),
    Contains(&'a [u8]),
    Matches(&'a str),
}

fn unmet<'a>(plan: &'a TcpPlan, answer: &[u8]) -> Option<Unmet<'a>> {
    if let Some(start) = plan.starts_with.as_deref().filter(|start| !answer.starts_with(start)) {
        return Some(Unmet::StartsWith(start));
    }
    if let Some(part) = plan.contains.as_deref().filter(|part| memmem::find(answer, part).is_none()) {
        return Some(Unmet::Contains(part));
    }
    let pattern = plan.matches.as_ref()?;
    let matches = match plan.encoding {
        Encoding::Utf8 => pattern.is_match(answer),
        Encoding::Hex => pattern.is_match(HEXLOWER.encode(answer).as_bytes()),
    };
    (!matches).then(|| Unmet::Matches(pattern.as_str()))
}

fn judge(plan: &TcpPlan, answer: &[u8], end: &End) -> Result<(), Failure> {
    let Some(unmet) = unmet(plan, answer) else { return Ok(()) };
    let shown = |bytes: &[u8]| match plan.encoding {
        Encoding::Utf8 => readable(bytes),
        Encoding::Hex => HEXLOWER.encode(bytes),
    };
    let expected = match unmet {
        Unmet::StartsWith(start) => format!("begins with {}", shown(start)),
        Unmet::Contains(part) => format!("contains {}", shown(part)),
        Unmet::Matches(pattern) => format!("matches {pattern}"),
    };
    let message = if answer.is_empty() {
        format!("the server said nothing{end}, expected an answer that {expected}")
    } else {
        format!("the server's answer isn't as expected{end}: expected one that {expected}")
    };
    Err(Failure::unmet(message, expected, shown(answer)))
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enough => Ok(()),
            Self::Closed => f.write_str(", and closed the connection"),
            Self::TimedOut(after) => write!(f, " within {after}"),
            Self::TooLong => f.write_str(" as far as it was read"),
        }
    }
}
