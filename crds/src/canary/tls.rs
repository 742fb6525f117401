//! TLS settings that `http` and `tls` checks share.

#![expect(
    unreachable_pub,
    reason = "the structs that KubeSchema generates beside ours are pub in a function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::SecretKey;

/// A client certificate with its private key, PEM, from a Secret of type kubernetes.io/tls or alike. The Secret must
/// carry the label `tidewatch.dev/canary: "true"`, by which its owner allows canaries to use it.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientCertificate {
    /// Name of the Secret, such as shop-client.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("not the name of a Secret: write lower-case letters, digits and -, such as shop-client"))]
    pub secret_name: String,
    /// Key of the certificate, which the authorities between it and the one that the server knows may follow.
    #[serde(default = "certificate_key")]
    #[schemars(length(min = 1, max = 253))]
    pub certificate_key: String,
    /// Key of the private key.
    #[serde(default = "private_key_key")]
    #[schemars(length(min = 1, max = 253))]
    pub private_key_key: String,
}

impl Default for ClientCertificate {
    fn default() -> Self {
        Self {
            secret_name: String::new(),
            certificate_key: certificate_key(),
            private_key_key: private_key_key(),
        }
    }
}

impl ClientCertificate {
    /// The key of the Secret that holds the certificate.
    pub fn certificate(&self) -> SecretKey {
        SecretKey { name: self.secret_name.clone(), key: self.certificate_key.clone() }
    }

    /// The key of the Secret that holds the private key.
    pub fn private_key(&self) -> SecretKey {
        SecretKey { name: self.secret_name.clone(), key: self.private_key_key.clone() }
    }
}

/// Certificates whose end counts. Variants are described where the enum is used: the schema of an enum whose variants have
/// descriptions would lose that of the field.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ValidityOf {
    #[default]
    VerifiedPath,
    Leaf,
    PresentedChain,
}

fn certificate_key() -> String {
    "tls.crt".to_owned()
}

fn private_key_key() -> String {
    "tls.key".to_owned()
}
