//! `tidewatch-shop serve`: one service of the shop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tidewatch_shop::stats::Stats;
use tidewatch_shop::upstream::Upstream;
use tidewatch_shop::{admin, client, mode, server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Parser)]
#[command(name = "tidewatch-shop", about = "A service of Tidewatch's test shop", version)]
enum Command {
    /// Serve requests, and call the upstreams at their given rates.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Address to listen on; `::` serves IPv4 clients as v4-mapped addresses.
    #[arg(long, env = "SHOP_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    address: IpAddr,
    /// Port to serve on; none for a service that only calls others.
    #[arg(long, env = "SHOP_PORT")]
    port: Option<u16>,
    /// Connections that may wait to be accepted; small, so that an overloaded service turns clients away soon.
    #[arg(long, env = "SHOP_BACKLOG", default_value_t = 16)]
    backlog: u32,
    /// Port of /admin/overload, /admin/normal, /stats and /healthz.
    #[arg(long, env = "SHOP_ADMIN", default_value_t = 9900)]
    admin: u16,
    /// NAME=HOST:PORT[,rps=2][,mode=keepalive|short][,connections=4][,request-bytes=600][,response-bytes=8000]
    #[arg(long = "upstream", value_name = "UPSTREAM")]
    upstreams: Vec<Upstream>,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let Command::Serve(serve) = Command::parse();
    // One thread: a lab runs two dozen of these on two cores.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .context("the async runtime could not be built")?
        .block_on(run(serve))
}

async fn run(serve: Serve) -> anyhow::Result<()> {
    let stats = Arc::new(Stats::new(serve.upstreams.iter().map(|upstream| upstream.name.as_str())));
    let (mode, mode_watch) = watch::channel(mode::Mode::Normal);

    let admin_address = SocketAddr::new(serve.address, serve.admin);
    let admin = admin::serve(admin_address, mode, Arc::clone(&stats)).await?;
    if let Some(port) = serve.port {
        let address = SocketAddr::new(serve.address, port);
        let listener = server::listen(address, serve.backlog)?;
        tokio::spawn(server::serve(listener, mode_watch, Arc::clone(&stats)));
        tracing::info!(%address, backlog = serve.backlog, "serving");
    }
    for upstream in serve.upstreams {
        client::start(upstream, Arc::clone(&stats));
    }

    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM can't be handled")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        ended = admin => ended.context("the admin server ended")??,
    }
    Ok(())
}
