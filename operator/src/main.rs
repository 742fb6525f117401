//! `tidewatch`: `operator` runs in the cluster, `check` tests that it works there, and `retire` runs before it is
//! uninstalled; `analyze` judges recorded flow windows and `band` a series of values, on any machine; `status`, `why` and
//! `doctor` show a cluster to a person, also as `kubectl tidewatch`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use mimalloc::MiMalloc;
use tidewatch::{analyze, check, config, retire};
use tidewatch_cli::{CompletionArgs, DoctorArgs, PLUGIN, StatusArgs, WhyArgs};

/// A decoded request is a thousand small allocations, freed by other threads: a fifth of the collector's time with
/// glibc's allocator (`make bench`).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Says whether a Kubernetes cluster's traffic is degraded, and whether that is the network's fault
#[derive(Debug, Parser)]
#[command(name = "tidewatch", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(StatusArgs),
    Why(WhyArgs),
    Doctor(DoctorArgs),
    Analyze(analyze::Args),
    Band(tidewatch_band::Args),
    Completion(CompletionArgs),
    Operator(Box<config::Args>),
    Check(check::Args),
    Retire(retire::Args),
}

fn main() -> ExitCode {
    let as_plugin = std::env::args_os().next().is_some_and(|path| is_plugin(Path::new(&path)));
    let program = if as_plugin { "kubectl tidewatch" } else { "tidewatch" };
    match run(&mut command(as_plugin, program), program) {
        Ok(code) => code,
        Err(error) => {
            // Line by line: an error may have several, and what the cluster says may have control characters.
            let lines: Vec<String> =
                format!("{error:#}").lines().map(|line| tidewatch_cli::readable(line.as_bytes())).collect();
            eprintln!("{program}: {}", lines.join("\n"));
            ExitCode::FAILURE
        }
    }
}

/// True for an executable with the name by which kubectl finds plugins.
fn is_plugin(executable: &Path) -> bool {
    executable.file_stem().is_some_and(|name| name == PLUGIN)
}

/// The command line. The plugin hides what only the chart runs.
fn command(as_plugin: bool, program: &'static str) -> clap::Command {
    let command = Cli::command().name(program).bin_name(program);
    if !as_plugin {
        return command;
    }
    ["operator", "check", "retire"]
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |it| it.hide(true)))
}

fn run(command: &mut clap::Command, program: &str) -> anyhow::Result<ExitCode> {
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            error.print().context("print the usage")?;
            // Not clap's own 2, which status and doctor have for what they find.
            return Ok(if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
    };
    match cli.command {
        Command::Status(args) => on_runtime(tidewatch_cli::status(args, program)),
        Command::Why(args) => on_runtime(tidewatch_cli::why(args)),
        Command::Doctor(args) => on_runtime(tidewatch_cli::doctor(args)),
        Command::Analyze(args) => analyze::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Band(args) => tidewatch_band::run(&args).map(|()| ExitCode::SUCCESS),
        // The script is for `tidewatch` even where the plugin prints it: clap_complete finds no subcommands of a name with
        // a hyphen, and kubectl's own completion runs docs/krew/kubectl_complete-tidewatch, which uses this script.
        Command::Completion(args) => Ok(tidewatch_cli::complete(&args, &mut Cli::command(), "tidewatch")),
        Command::Operator(args) => on_runtime(tidewatch::run::run(*args)).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => on_runtime(check::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Retire(args) => on_runtime(retire::run(args)).map(|()| ExitCode::SUCCESS),
    }
}

fn on_runtime<T>(job: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // The one provider of the process: the API client, the collector's TLS and its certificates all use it.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a crypto provider is installed already"))?;
    // Two threads: the collector and the controllers are I/O, and each thread costs an allocator arena.
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the async runtime")?
        .block_on(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_is_told_by_its_name() {
        assert!(is_plugin(Path::new("/usr/local/bin/kubectl-tidewatch")));
        assert!(is_plugin(Path::new("kubectl-tidewatch.exe")));
        assert!(!is_plugin(Path::new("/tidewatch")));
    }

    #[test]
    fn the_plugin_hides_what_only_the_chart_runs() {
        let shown = |as_plugin, program| {
            let mut command = command(as_plugin, program);
            command.build();
            let shown = command.get_subcommands().filter(|it| !it.is_hide_set());
            shown.map(|it| it.get_name().to_owned()).collect::<Vec<_>>()
        };
        let plugin = ["status", "why", "doctor", "analyze", "band", "completion", "help"];
        assert_eq!(shown(true, "kubectl tidewatch"), plugin);
        assert_eq!(shown(false, "tidewatch").len(), plugin.len() + 3);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
