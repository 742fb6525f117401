//! `tidewatch-aws-double`: the double as a process of its own.

use std::net::SocketAddr;

use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use tidewatch_aws_double::{Double, Options};

#[derive(Parser)]
#[command(about = "CloudWatch and STS on loopback; point AWS_ENDPOINT_URL at it")]
struct Args {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:4599")]
    listen: SocketAddr,
    /// Refuse what comes faster than AWS's published rates
    #[arg(long)]
    throttled: bool,
    /// Where the clock stands, to be moved by `POST /_double/advance`; the real time unless given
    #[arg(long)]
    now: Option<Timestamp>,
    /// The account of keys that nobody registered
    #[arg(long, default_value = "123456789012")]
    account: String,
    /// What a detector needs until it is trained
    #[arg(long, default_value = "PT3H")]
    training: SignedDuration,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let args = Args::parse();
    let options = Options {
        throttled: args.throttled,
        now: args.now,
        account: args.account,
        training: args.training,
        listen: args.listen,
        ..Options::default()
    };
    let double = Double::start(options).await?;
    println!("listening on {}", double.url());
    tokio::signal::ctrl_c().await?;
    Ok(())
}
