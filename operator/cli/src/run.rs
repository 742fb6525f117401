//! The commands: read, report, print.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use kube::Client;
use tidewatch_crds::format_duration;
use tidewatch_prober::readable;

use crate::args::{Common, CompletionArgs, DoctorArgs, StatusArgs, WhyArgs};
use crate::connect::connect;
use crate::invocation::Invocation;
use crate::objects::Kind;
use crate::output::{Reader, begin_next, print};
use crate::status::StatusReport;
use crate::{EXIT_PROBLEMS, collect, doctor as doctor_of, status as status_of, why as why_of};

/// The exit code of a command that ran.
fn exit_code(healthy: bool) -> ExitCode {
    if healthy { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) }
}

/// Runs `job`, and fails where it takes longer than the command may take.
async fn within<T>(common: &Common, job: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(common.timeout, job).await;
    answer.unwrap_or_else(|_| {
        let limit = format_duration(common.timeout);
        Err(anyhow!(
            "the API server didn't answer all requests within {limit}; give it longer with --timeout"
        ))
    })
}

/// Runs `status`. `program` is how the program is called, for what to type next.
///
/// # Errors
/// When the cluster can't be reached or a kind can't be listed. Once a report has been shown, `--watch` prints such an error
/// and tries again.
pub async fn status(args: StatusArgs, program: &str) -> anyhow::Result<ExitCode> {
    let (client, _) = connect(&args.common).await?;
    let invocation = Invocation::new(program, &args.common);
    let output = args.common.output;
    let text = |report: &StatusReport, width| status_of::render(report, width, &invocation);
    let mut report = read_status(&client, &args).await?;
    let Some(interval) = args.watch else {
        print(&report, output, |width| text(&report, width))?;
        return Ok(exit_code(report.healthy));
    };
    loop {
        if begin_next(output)? == Reader::Gone
            || print(&report, output, |width| text(&report, width))? == Reader::Gone
        {
            return Ok(exit_code(report.healthy));
        }
        report = loop {
            tokio::time::sleep(interval).await;
            match read_status(&client, &args).await {
                Ok(report) => break report,
                // A cluster in trouble is when people watch: the last report stays, with the error below it.
                Err(error) => {
                    let error = readable(format!("{error:#}").as_bytes());
                    eprintln!("{program}: {error}; trying again in {}", format_duration(interval));
                }
            }
        };
    }
}

async fn read_status(client: &Client, args: &StatusArgs) -> anyhow::Result<StatusReport> {
    let namespace = args.namespace.as_deref();
    let objects = within(&args.common, collect::objects(client, namespace)).await?;
    Ok(status_of::report(&objects, namespace, Timestamp::now()))
}

/// Runs `why`.
///
/// # Errors
/// When the object isn't there, or can't be read.
pub async fn why(args: WhyArgs) -> anyhow::Result<ExitCode> {
    let (kind, name) = object(&args.object)?;
    let (client, namespace) = connect(&args.common).await?;
    let namespace = args.namespace.clone().unwrap_or(namespace);
    let (objects, events) = within(&args.common, async {
        let events = async { Ok(collect::events(&client, kind, &namespace, name).await) };
        tokio::try_join!(collect::objects(&client, Some(&namespace)), events)
    })
    .await?;
    let report = why_of::report(&objects, kind, name, &events, Timestamp::now());
    let report = report.with_context(|| {
        format!(
            "there is no {} {name} in namespace {namespace}; name another namespace with -n",
            kind.as_str()
        )
    })?;
    print(&report, args.common.output, |width| why_of::render(&report, width))?;
    Ok(exit_code(report.healthy))
}

/// The kind and name of an object as it is typed.
fn object(text: &str) -> anyhow::Result<(Kind, &str)> {
    let (kind, name) = text.split_once('/').with_context(|| {
        format!("{text:?} isn't KIND/NAME: write netmon/checkout, anomalarm/latency or canary/home")
    })?;
    let kind = Kind::of(kind).with_context(|| {
        format!("{kind:?} is no kind of Tidewatch: write netmon, anomalarm or canary before the slash")
    })?;
    anyhow::ensure!(!name.is_empty(), "{text:?} has no name after the slash");
    Ok((kind, name))
}

/// Runs `doctor`.
///
/// # Errors
/// When the API server doesn't answer.
pub async fn doctor(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = connect(&args.common).await?;
    let collected = within(&args.common, collect::doctor(&client, &args.namespace)).await?;
    let report = doctor_of::report(&collected);
    print(&report, args.common.output, |width| doctor_of::render(&report, width))?;
    Ok(exit_code(report.healthy))
}

/// Prints the completion script for `command`, whose executable has the name `program`.
pub fn complete(args: &CompletionArgs, command: &mut clap::Command, program: &str) -> ExitCode {
    clap_complete::generate(args.shell, command, program, &mut std::io::stdout());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::Output;

    #[tokio::test]
    async fn a_command_ends_at_its_time_limit() {
        let timeout = Duration::ZERO;
        let common = Common { context: None, kubeconfig: None, output: Output::Text, timeout };
        let error = within(&common, std::future::pending::<anyhow::Result<()>>()).await.unwrap_err();
        let sentence = "the API server didn't answer all requests within 0s; give it longer with --timeout";
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn an_object_is_named_by_kind_and_name() {
        assert_eq!(object("netmon/checkout").unwrap(), (Kind::NetworkMonitor, "checkout"));
        assert_eq!(object("Canaries/home").unwrap(), (Kind::Canary, "home"));
        assert_eq!(object("anomalyalarm.tidewatch.dev/a").unwrap(), (Kind::AnomalyAlarm, "a"));
        let refused = |text: &str| object(text).unwrap_err().to_string();
        assert!(refused("checkout").contains("write netmon/checkout"));
        assert!(refused("pod/a").contains("\"pod\" is no kind of Tidewatch"));
        assert!(refused("netmon/").contains("no name"));
    }
}
