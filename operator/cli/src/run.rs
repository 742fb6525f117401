//! The commands: read, report, print.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use crate::args::{CompletionArgs, DoctorArgs, StatusArgs, WhyArgs};
use crate::connect::connect;
use crate::objects::Kind;
use crate::output::print;
use crate::{AMISS, collect, status as status_of, why as why_of};

/// The exit code of a command that ran.
fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::from(AMISS) }
}

/// Runs `status`. `program` is how the program is called, for what to type next.
///
/// # Errors
/// When the cluster can't be reached or a kind can't be listed.
pub async fn status(args: StatusArgs, program: &str) -> anyhow::Result<ExitCode> {
    let (client, _) = connect(&args.common).await?;
    loop {
        let objects = collect::objects(&client, args.namespace.as_deref()).await?;
        let report = status_of::report(&objects, args.namespace.as_deref(), Timestamp::now());
        let text = |width| status_of::render(&report, width, program);
        print(&report, args.common.output, args.watch.is_some(), text)?;
        let Some(seconds) = args.watch else { return Ok(code(report.well)) };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("wait for an interrupt")?;
                return Ok(code(report.well));
            }
        }
    }
}

/// Runs `why`.
///
/// # Errors
/// When the object isn't there, or can't be read.
pub async fn why(args: WhyArgs) -> anyhow::Result<ExitCode> {
    let (kind, name) = object(&args.object)?;
    let (client, namespace) = connect(&args.common).await?;
    let namespace = args.namespace.clone().unwrap_or(namespace);
    let objects = collect::objects(&client, Some(&namespace)).await?;
    let events = collect::events(&client, kind, &namespace, name).await?;
    let report = why_of::report(&objects, kind, name, &events, Timestamp::now());
    let report = report.with_context(|| {
        format!(
            "there is no {} {name} in namespace {namespace}; name another namespace with -n",
            kind.as_str()
        )
    })?;
    print(&report, args.common.output, false, |width| why_of::render(&report, width))?;
    Ok(code(report.well))
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
/// When the cluster can't be reached.
pub async fn doctor(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = connect(&args.common).await?;
    client.apiserver_version().await.context("reach the API server")?;
    let collected = collect::doctor(&client, &args.namespace).await;
    let report = crate::doctor::report(&collected);
    print(&report, args.common.output, false, |width| crate::doctor::render(&report, width))?;
    Ok(code(report.well))
}

/// Prints the completion script for `command`, whose executable has the name `program`.
pub fn complete(args: &CompletionArgs, command: &mut clap::Command, program: &str) -> ExitCode {
    clap_complete::generate(args.shell, command, program, &mut std::io::stdout());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

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
