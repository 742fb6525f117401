//! What the tests of several crates share: a real API server and one that only lists, watches that fail, the way to the AWS
//! double, and a bed with sweeps for the kinds that are managed in AWS. Only tests depend on it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_debug_implementations,
    reason = "a panic fails the test, as it should"
)]

#[path = "../../../crds/tests/apiserver/control_plane.rs"]
mod control_plane;
pub mod granted;
pub mod list_server;
pub mod managed;
pub mod watches;

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_smithy_async::time::TimeSource;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tidewatch_aws_double::Double;

pub use control_plane::{ControlPlane, repository};
use tidewatch_aws::SdkConfig;

/// An administrator.
pub async fn client(server: &ControlPlane) -> kube::Client {
    kube::Client::try_from(config(server).await).unwrap()
}

/// A user, with the rights that a role gives.
pub async fn client_as(server: &ControlPlane, user: &str) -> kube::Client {
    let mut config = config(server).await;
    config.auth_info.impersonate = Some(user.to_owned());
    kube::Client::try_from(config).unwrap()
}

async fn config(server: &ControlPlane) -> kube::Config {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).unwrap();
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// The operator's own access key.
pub const KEY: &str = "AKIDEXAMPLE";

/// The SDK's clock is the double's, so that both agree on when credentials expire.
#[derive(Debug)]
struct DoublesClock(Double);

impl TimeSource for DoublesClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

/// The way to the double, in `region`.
pub async fn sdk_config(double: &Double, region: &'static str) -> SdkConfig {
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(double.url())
        .region(aws_config::Region::new(region))
        .credentials_provider(Credentials::new(KEY, "secret", None, None, "test"))
        .time_source(DoublesClock(double.clone()))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

/// The CRDs as the chart ships them, served.
pub fn install(server: &ControlPlane, plurals: &[&str]) {
    for plural in plurals {
        let file = repository().join(format!("charts/tidewatch-crds/templates/{plural}.yaml"));
        kubectl(server, &["apply", "--server-side", "-f", file.to_str().unwrap()], None);
    }
    for plural in plurals {
        let name = format!("crd/{plural}.tidewatch.dev");
        let wait = ["wait", "--for=condition=Established", &name, "--timeout=30s"];
        let begun = Instant::now();
        // Of one that has no conditions yet kubectl says so and ends.
        while let Err(error) = tokio::task::block_in_place(|| server.kubectl(&wait, None)) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}: {error}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What kubectl says, without holding up the controller.
pub fn kubectl(server: &ControlPlane, arguments: &[&str], input: Option<&str>) -> String {
    tokio::task::block_in_place(|| server.kubectl(arguments, input))
        .unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}\n{}", describe(server)))
}

/// Every object of ours, for a person.
pub fn describe(server: &ControlPlane) -> String {
    server.kubectl(&["get", "tidewatch", "-o", "yaml"], None).unwrap_or_default()
}
