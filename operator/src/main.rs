//! `tidewatch`: `operator` runs in the cluster, `check` tests that it works there, and `retire` runs before it is
//! uninstalled; `analyze` judges recorded flow windows and `band` a series of values, on any machine.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tidewatch::{analyze, check, config, retire};

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
    Operator(Box<config::Args>),
    Check(check::Args),
    Retire(retire::Args),
    Analyze(analyze::Args),
    Band(tidewatch_band::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Operator(args) => on_runtime(tidewatch::run::run(*args)),
        Command::Check(args) => on_runtime(check::run(args)),
        Command::Retire(args) => on_runtime(retire::run(args)),
        Command::Analyze(args) => analyze::run(&args),
        Command::Band(args) => tidewatch_band::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidewatch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(job: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
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
