//! The EndpointSlice of the Service `tidewatch-collector`. The Service has no selector: the leader points it at itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};

use super::SERVICE;

/// Points the Service `tidewatch-collector` at `pod_ip`, by its EndpointSlice; writes only if it points elsewhere, and
/// says whether it wrote. Call it as the leader, when it starts to lead and then every minute or so, for someone may
/// have changed it. Needs get on the Service, and get, create, update and delete on the EndpointSlice.
pub async fn publish_endpoint(
    client: &Client,
    namespace: &str,
    pod_ip: IpAddr,
    port: u16,
) -> kube::Result<bool> {
    let service = Api::<Service>::namespaced(client.clone(), namespace).get(SERVICE).await?;
    let api = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    let mut wanted = desired(&service, namespace, pod_ip, port);
    let params = PostParams::default();
    match api.get_opt(SERVICE).await? {
        None => {
            api.create(&params, &wanted).await?;
        }
        Some(present) if same(&present, &wanted) => return Ok(false),
        Some(present) if present.address_type != wanted.address_type => {
            // The address family can't be changed.
            api.delete(SERVICE, &DeleteParams::default()).await?;
            api.create(&params, &wanted).await?;
        }
        Some(present) => {
            wanted.metadata.resource_version = present.metadata.resource_version;
            api.replace(SERVICE, &params, &wanted).await?;
        }
    }
    Ok(true)
}

fn desired(service: &Service, namespace: &str, pod_ip: IpAddr, port: u16) -> EndpointSlice {
    // A proxy matches the ports of a Service and its slices by name.
    let port_name = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).and_then(|ports| {
        let named = ports.iter().find(|p| p.port == i32::from(port)).or_else(|| ports.first());
        named.and_then(|port| port.name.clone())
    });
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(SERVICE.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([
                ("kubernetes.io/service-name".to_owned(), SERVICE.to_owned()),
                ("endpointslice.kubernetes.io/managed-by".to_owned(), "tidewatch.dev".to_owned()),
            ])),
            // With the Service it goes.
            owner_references: service.metadata.uid.as_ref().map(|uid| {
                vec![OwnerReference {
                    api_version: "v1".to_owned(),
                    kind: "Service".to_owned(),
                    name: SERVICE.to_owned(),
                    uid: uid.clone(),
                    ..OwnerReference::default()
                }]
            }),
            ..ObjectMeta::default()
        },
        address_type: if pod_ip.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        endpoints: vec![Endpoint {
            addresses: vec![pod_ip.to_string()],
            conditions: Some(EndpointConditions { ready: Some(true), ..EndpointConditions::default() }),
            ..Endpoint::default()
        }],
        ports: Some(vec![EndpointPort {
            name: Some(port_name.unwrap_or_default()),
            port: Some(i32::from(port)),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        }]),
    }
}

/// Returns true if `present` has all that `wanted` has, whatever else the API server or others added.
fn same(present: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    let labels = |slice: &EndpointSlice| slice.metadata.labels.clone().unwrap_or_default();
    let has = labels(present);
    let owners = |slice: &EndpointSlice| -> Vec<String> {
        slice.metadata.owner_references.iter().flatten().map(|owner| owner.uid.clone()).collect()
    };
    let addresses = |slice: &EndpointSlice| -> Vec<(Vec<String>, Option<bool>)> {
        let ready = |e: &Endpoint| e.conditions.as_ref().and_then(|conditions| conditions.ready);
        slice.endpoints.iter().map(|e| (e.addresses.clone(), ready(e))).collect()
    };
    let ports = |slice: &EndpointSlice| -> Vec<(String, Option<i32>)> {
        slice.ports.iter().flatten().map(|p| (p.name.clone().unwrap_or_default(), p.port)).collect()
    };
    present.address_type == wanted.address_type
        && labels(wanted).iter().all(|(key, value)| has.get(key) == Some(value))
        && owners(present) == owners(wanted)
        && addresses(present) == addresses(wanted)
        && ports(present) == ports(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Service {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": SERVICE, "uid": "u1"},
            "spec": {"ports": [{"name": "otlp-grpc", "port": 4317}]}
        }))
        .unwrap()
    }

    #[test]
    fn the_slice_takes_its_port_name_from_the_service_and_is_owned_by_it() {
        let slice = desired(&service(), "ns", "10.0.0.9".parse().unwrap(), 4317);
        let port = &slice.ports.as_ref().unwrap()[0];
        assert_eq!((port.name.as_deref(), port.port), (Some("otlp-grpc"), Some(4317)));
        assert_eq!(slice.metadata.owner_references.unwrap()[0].uid, "u1");
        assert_eq!(slice.address_type, "IPv4");
    }

    #[test]
    fn only_a_real_difference_is_one() {
        let wanted = desired(&service(), "ns", "10.0.0.9".parse().unwrap(), 4317);
        let mut present = wanted.clone();
        present.metadata.resource_version = Some("7".to_owned());
        present.metadata.labels.as_mut().unwrap().insert("added/by-someone".to_owned(), "x".to_owned());
        assert!(same(&present, &wanted));
        for other in ["10.0.0.10", "fd00::9"] {
            assert!(!same(&present, &desired(&service(), "ns", other.parse().unwrap(), 4317)), "{other}");
        }
        present.endpoints.clear();
        assert!(!same(&present, &wanted));
    }
}
