//! The material in the cluster: all of it in Secret `tidewatch-collector-tls`, what agents trust in ConfigMap
//! `tidewatch-collector-ca`. Read by name, written only where it differs. Made by the chart alone, which then also owns
//! them: the operator has no right to make a Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};

use super::material::{Material, Pair};

pub(super) const SECRET: &str = "tidewatch-collector-tls";
pub(super) const CONFIG_MAP: &str = "tidewatch-collector-ca";
/// The key of the ConfigMap, and the agents' file.
const CA: &str = "ca.crt";

/// The material in the Secret, with the object to write changes to.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) material: Option<Material>,
    secret: Secret,
}

pub(super) async fn read(client: &Client, namespace: &str) -> kube::Result<Stored> {
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get(SECRET).await?;
    let material = secret.data.as_ref().and_then(parse);
    Ok(Stored { material, secret })
}

/// Writes `material` to the Secret that was read; fails with a conflict if someone else did meanwhile.
pub(super) async fn write(
    client: &Client,
    namespace: &str,
    stored: Stored,
    material: &Material,
) -> kube::Result<()> {
    let mut secret = stored.secret;
    // With its resourceVersion, so that two leaders can't overwrite one another.
    secret.data = Some(serialise(material));
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    api.replace(SECRET, &PostParams::default(), &secret).await.map(drop)
}

/// Publishes the certificates of the authorities that agents trust.
pub(super) async fn publish(client: &Client, namespace: &str, bundle: &str) -> kube::Result<bool> {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let data = BTreeMap::from([(CA.to_owned(), bundle.to_owned())]);
    let present = api.get(CONFIG_MAP).await?.data.unwrap_or_default();
    if present.get(CA).map(String::as_str) == Some(bundle) {
        return Ok(false);
    }
    let patch = Patch::Merge(serde_json::json!({ "data": data }));
    api.patch(CONFIG_MAP, &PatchParams::default(), &patch).await?;
    Ok(true)
}

fn parse(data: &BTreeMap<String, ByteString>) -> Option<Material> {
    let text = |key: &str| data.get(key).and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    let pair = |certificate: &str, key: &str| Some(Pair { certificate: text(certificate)?, key: text(key)? });
    Some(Material {
        authority: pair("ca.crt", "ca.key")?,
        next: pair("next-ca.crt", "next-ca.key"),
        previous: text("previous-ca.crt"),
        serving: pair("tls.crt", "tls.key")?,
    })
}

fn serialise(material: &Material) -> BTreeMap<String, ByteString> {
    let mut data = BTreeMap::new();
    let mut put = |key: &str, text: &str| data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
    put("ca.crt", &material.authority.certificate);
    put("ca.key", &material.authority.key);
    put("tls.crt", &material.serving.certificate);
    put("tls.key", &material.serving.key);
    if let Some(next) = &material.next {
        put("next-ca.crt", &next.certificate);
        put("next-ca.key", &next.key);
    }
    if let Some(previous) = &material.previous {
        put("previous-ca.crt", previous);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::material::renew;

    #[test]
    fn what_is_written_is_what_is_read() {
        let now = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        let mut material = renew(None, &["a.b.svc".to_owned()], now).unwrap();
        assert_eq!(parse(&serialise(&material)).as_ref(), Some(&material));
        material.next = Some(material.authority.clone());
        material.previous = Some(material.authority.certificate.clone());
        assert_eq!(parse(&serialise(&material)).as_ref(), Some(&material));
    }

    #[test]
    fn a_secret_that_the_chart_made_empty_or_someone_cut_is_no_material() {
        assert_eq!(parse(&BTreeMap::new()), None);
        let now = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        let mut data = serialise(&renew(None, &["a.b.svc".to_owned()], now).unwrap());
        data.insert("tls.key".to_owned(), ByteString(vec![0xff, 0xfe]));
        assert_eq!(parse(&data), None);
    }
}
