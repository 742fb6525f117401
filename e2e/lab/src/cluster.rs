//! Facts about pods and Services that a fault needs, asked of the apiserver.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::command::Cmd;
use crate::error::{Error, Result};

/// A pod on the cluster's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) node: String,
    pub(crate) uid: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) host_network: bool,
}

/// A pod behind a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backend {
    pub(crate) node: String,
    pub(crate) uid: String,
    pub(crate) address: Ipv4Addr,
    /// Its TCP ports.
    pub(crate) ports: BTreeSet<u16>,
}

/// Asks for a running pod.
pub(crate) fn pod(kubectl: Cmd, namespace: &str, name: &str) -> Result<Pod> {
    let object: PodObject = get(kubectl, &["pod", name, "--namespace", namespace])?;
    let incomplete = || {
        Error::Invalid(format!(
            "pod {namespace}/{name} has no node or no IPv4 address yet: wait until it runs"
        ))
    };
    Ok(Pod {
        node: object.spec.node_name.ok_or_else(incomplete)?,
        uid: object.metadata.uid,
        address: object.status.pod_ip.ok_or_else(incomplete)?.parse().map_err(|_| incomplete())?,
        host_network: object.spec.host_network.unwrap_or(false),
    })
}

/// Asks for the pods behind a Service.
pub(crate) fn backends(kubectl: Cmd, namespace: &str, service: &str) -> Result<Vec<Backend>> {
    let selector = format!("kubernetes.io/service-name={service}");
    let slices: List = get(kubectl, &["endpointslices", "--namespace", namespace, "--selector", &selector])?;
    let backends = backends_of(slices);
    if backends.is_empty() {
        return Err(Error::Invalid(format!(
            "Service {namespace}/{service} doesn't exist or has no pods with TCP ports: there is nothing to make fail"
        )));
    }
    Ok(backends)
}

fn backends_of(slices: List) -> Vec<Backend> {
    let mut backends: Vec<Backend> = Vec::new();
    for slice in slices.items {
        let ports: BTreeSet<u16> = slice
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter(|p| p.protocol.as_deref().unwrap_or("TCP") == "TCP")
            .filter_map(|p| p.port)
            .collect();
        for endpoint in slice.endpoints.unwrap_or_default() {
            let Some(target) = endpoint.target_ref.filter(|t| t.kind == "Pod") else { continue };
            let address = endpoint.addresses.iter().find_map(|a| a.parse().ok());
            let (Some(node), Some(address), false) = (endpoint.node_name, address, ports.is_empty()) else {
                continue;
            };
            match backends.iter_mut().find(|b| b.uid == target.uid) {
                Some(known) => known.ports.extend(&ports),
                None => backends.push(Backend { node, uid: target.uid, address, ports: ports.clone() }),
            }
        }
    }
    backends.sort();
    backends
}

fn get<T: DeserializeOwned>(kubectl: Cmd, what: &[&str]) -> Result<T> {
    let output = kubectl.args(["get", "--output", "json"]).args(what).run()?;
    serde_json::from_str(&output.stdout)
        .map_err(Error::json(format!("what kubectl says of {}", what.join(" "))))
}

#[derive(Deserialize)]
struct PodObject {
    metadata: Metadata,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
    host_network: Option<bool>,
}

#[derive(Deserialize)]
struct PodStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Slice>,
}

#[derive(Deserialize)]
struct Slice {
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    addresses: Vec<String>,
    node_name: Option<String>,
    target_ref: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    uid: String,
}

#[derive(Deserialize)]
struct Port {
    port: Option<u16>,
    protocol: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_the_pods_of_all_slices_with_their_tcp_ports() {
        let text = r#"{"items": [
            {"addressType": "IPv4", "ports": [{"port": 8080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}], "endpoints": [
                {"addresses": ["198.18.1.4"], "nodeName": "zone-1-a", "targetRef": {"kind": "Pod", "name": "cart-0", "uid": "u1"}},
                {"addresses": ["203.0.113.1"]}]},
            {"addressType": "IPv4", "ports": [{"port": 9090}], "endpoints": [
                {"addresses": ["198.18.1.4"], "nodeName": "zone-1-a", "targetRef": {"kind": "Pod", "uid": "u1"}}]},
            {"addressType": "IPv4", "ports": null, "endpoints": null}]}"#;
        let backends = backends_of(serde_json::from_str(text).unwrap());
        assert_eq!(backends.len(), 1);
        assert_eq!(backends[0].ports, BTreeSet::from([8080, 9090]));
        assert_eq!(backends[0].address, Ipv4Addr::new(198, 18, 1, 4));
    }
}
