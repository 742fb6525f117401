//! A client that sends the collector what no agent would. Prints the gRPC status that it gets.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::{Buf, BufMut};
use clap::{Parser, ValueEnum};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Request, Status};

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Parser)]
#[command(name = "tidewatch-rogue", about = "Sends the collector what no agent would")]
struct Arguments {
    /// Address and port of the collector.
    #[arg(long)]
    address: String,
    /// The name that its certificate should have.
    #[arg(long)]
    server_name: String,
    /// Its CA.
    #[arg(long)]
    ca: PathBuf,
    /// The bearer token; none is sent without.
    #[arg(long)]
    token: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "empty")]
    body: Body,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Body {
    /// A request without records, which is a good one.
    Empty,
    /// No protobuf at all.
    Garbage,
    /// A message that ends before it says it does.
    Truncated,
    /// Far more than the collector takes in a message.
    Oversized,
}

impl Body {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Garbage => vec![0xff; 1000],
            // Field 1 (resource_logs), 127 bytes long, of which 3 come.
            Self::Truncated => vec![0x0a, 0x7f, 1, 2, 3],
            Self::Oversized => vec![0x0a; 64 << 20],
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = Arguments::parse();
    let code = match send(&arguments).await {
        Ok(()) => "Ok".to_owned(),
        Err(Failure::Status(status)) => {
            eprintln!("{}", status.message());
            format!("{:?}", status.code())
        }
        Err(Failure::Other(error)) => return Err(error),
    };
    println!("{code}");
    Ok(())
}

#[derive(Debug)]
enum Failure {
    Status(Box<Status>),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

async fn send(arguments: &Arguments) -> Result<(), Failure> {
    let ca = std::fs::read(&arguments.ca).context("the CA")?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca))
        .domain_name(arguments.server_name.clone());
    let channel = Channel::from_shared(format!("https://{}", arguments.address))
        .context("the address")?
        .connect_timeout(LIMIT)
        .timeout(LIMIT)
        .tls_config(tls)
        .context("TLS")?
        .connect()
        .await
        .context("the collector can't be reached")?;
    let mut request = Request::new(arguments.body.bytes());
    if let Some(path) = &arguments.token {
        let token = std::fs::read_to_string(path).context("the token")?;
        let value = format!("Bearer {}", token.trim()).parse().context("the token is no header value")?;
        request.metadata_mut().insert("authorization", value);
    }
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.context("the connection")?;
    let path = http::uri::PathAndQuery::from_static(EXPORT);
    client.unary(request, path, Raw).await?;
    Ok(())
}

/// Sends bytes as they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; from.remaining()];
        from.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
