//! Names for addresses outside the cluster, from the chart value `collector.remotes`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tidewatch_records::Name;

use super::cidr::CidrTable;

/// One entry of `collector.remotes`: exactly one of `awsService` and `vpc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoteSpec {
    /// An AWS service's name, such as `dynamodb`; shown as `aws/dynamodb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_service: Option<String>,
    /// Name of a network: one's own VPC outside the cluster, a peered one, a data centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc: Option<String>,
    /// The zone of the addresses, where they are in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub cidrs: Vec<IpNet>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RemoteError {
    #[error("collector.remotes[{index}]: write either awsService or vpc, not {}", if *both { "both" } else { "neither" })]
    Kind { index: usize, both: bool },
    #[error(
        "collector.remotes[{index}]: the name {name:?} must be of letters, digits, dots and dashes, such as dynamodb"
    )]
    Name { index: usize, name: String },
    #[error(
        "collector.remotes[{index}]: cidrs is empty: write the networks it names, such as [10.20.0.0/16]"
    )]
    NoCidrs { index: usize },
}

/// The network or AWS service that an address outside the cluster belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `aws/name`
    Aws {
        service: Name,
    },
    Vpc {
        name: Name,
        zone: Option<Name>,
    },
}

/// The configured remotes, by longest prefix.
#[derive(Debug, Clone, Default)]
pub struct Remotes {
    table: CidrTable<Remote>,
}

impl Remotes {
    pub fn new(specs: &[RemoteSpec]) -> Result<Self, RemoteError> {
        let mut table = CidrTable::default();
        for (index, spec) in specs.iter().enumerate() {
            let remote = match (&spec.aws_service, &spec.vpc) {
                (Some(name), None) => {
                    let name = valid_name(index, name)?.to_ascii_lowercase();
                    Remote::Aws { service: format!("aws/{name}").into() }
                }
                (None, Some(name)) => Remote::Vpc {
                    name: valid_name(index, name)?.into(),
                    zone: spec.zone.as_deref().map(Name::from),
                },
                (aws, _) => return Err(RemoteError::Kind { index, both: aws.is_some() }),
            };
            if spec.cidrs.is_empty() {
                return Err(RemoteError::NoCidrs { index });
            }
            for cidr in &spec.cidrs {
                table.insert(*cidr, remote.clone());
            }
        }
        Ok(Self { table })
    }

    pub fn get(&self, ip: IpAddr) -> Option<&Remote> {
        self.table.get(ip)
    }
}

fn valid_name(index: usize, name: &str) -> Result<&str, RemoteError> {
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    if valid { Ok(name) } else { Err(RemoteError::Name { index, name: name.to_owned() }) }
}

/// Returns true if `ip` is a private address, which nobody on the internet has.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // RFC 1918, link-local, loopback, and RFC 6598 (carrier-grade NAT; EKS offers it for pods).
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || (a == 100 && b & 0xc0 == 64)
        }
        // fc00::/7, fe80::/10, ::1
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(yaml: &str) -> Vec<RemoteSpec> {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn the_chart_s_form_names_addresses() {
        let remotes = Remotes::new(&specs(
            "- {awsService: DynamoDB, cidrs: [198.19.255.0/24]}\n- {vpc: db, zone: zone-2, cidrs: [10.20.0.0/16, 'fd00:20::/32']}",
        ))
        .unwrap();
        assert_eq!(
            remotes.get("198.19.255.9".parse().unwrap()),
            Some(&Remote::Aws { service: "aws/dynamodb".into() })
        );
        for ip in ["10.20.3.4", "fd00:20::1"] {
            assert_eq!(
                remotes.get(ip.parse().unwrap()),
                Some(&Remote::Vpc { name: "db".into(), zone: Some("zone-2".into()) })
            );
        }
        assert_eq!(remotes.get("10.21.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_mistake_is_answered_by_what_to_write() {
        for (yaml, says) in [
            ("- {cidrs: [10.0.0.0/8]}", "write either awsService or vpc, not neither"),
            ("- {awsService: s3, vpc: v, cidrs: [10.0.0.0/8]}", "not both"),
            ("- {awsService: s3, cidrs: []}", "cidrs is empty"),
            ("- {awsService: 'a/b', cidrs: [10.0.0.0/8]}", "must be of letters"),
        ] {
            let error = Remotes::new(&specs(yaml)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(
            serde_saphyr::from_str::<Vec<RemoteSpec>>("- {awsService: s3, cidrs: [10.0.0.0/40]}").is_err()
        );
    }
}
