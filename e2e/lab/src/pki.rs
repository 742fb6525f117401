//! The cluster's certificates, made anew for each lab, and the kubeconfigs that carry them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

use crate::error::{Error, Result};
use crate::plan::{API_PORT, API_SERVICE, CONTROL_PLANE, Plan};
use crate::state::Directory;

/// The address of the apiserver inside the lab.
pub(crate) fn api_url() -> String {
    format!("https://{CONTROL_PLANE}:{API_PORT}")
}

/// A certificate and its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

/// Makes the authority, the apiserver's and everyone's certificates, the service-account key, and the kubeconfigs of those in the lab.
/// Returns what the administrator's kubeconfig needs.
pub(crate) fn create(plan: &Plan, directory: &Directory) -> Result<Admin> {
    let pki = directory.pki();
    fs::create_dir_all(&pki).map_err(Error::file("making", &pki))?;
    let authority = authority()?;
    let authority_pem = authority.pem();
    write(&pki.join("ca.crt"), &authority_pem)?;

    let serving = issue(&authority, "kube-apiserver", None, &api_names()?)?;
    write(&pki.join("apiserver.crt"), &serving.certificate)?;
    write(&pki.join("apiserver.key"), &serving.key)?;
    let to_kubelets = issue(&authority, "kube-apiserver-kubelet-client", Some("system:masters"), &[])?;
    write(&pki.join("apiserver-kubelet.crt"), &to_kubelets.certificate)?;
    write(&pki.join("apiserver-kubelet.key"), &to_kubelets.key)?;
    let accounts = KeyPair::generate().map_err(certificate_error("service accounts"))?;
    write(&pki.join("service-accounts.key"), &accounts.serialize_pem())?;
    write(&pki.join("service-accounts.pub"), &accounts.public_key_pem())?;

    let mut users = vec![
        ("kube-controller-manager".to_owned(), "system:kube-controller-manager".to_owned(), None),
        ("kube-scheduler".to_owned(), "system:kube-scheduler".to_owned(), None),
        ("kube-proxy".to_owned(), "system:kube-proxy".to_owned(), None),
    ];
    for node in &plan.nodes {
        users.push((node.name.clone(), format!("system:node:{}", node.name), Some("system:nodes")));
    }
    for (file, user, group) in users {
        let pair = issue(&authority, &user, group, &[])?;
        let text = kubeconfig(&plan.lab, &api_url(), &authority_pem, &pair);
        write(&pki.join(format!("{file}.kubeconfig")), &text)?;
    }
    let pair = issue(&authority, "tidewatch-lab-admin", Some("system:masters"), &[])?;
    Ok(Admin { lab: plan.lab.clone(), authority: authority_pem, pair })
}

/// The administrator, whose kubeconfig can be written once the proxy's port is known.
pub(crate) struct Admin {
    lab: String,
    authority: String,
    pair: Pair,
}

impl Admin {
    /// The kubeconfig for an address of the apiserver.
    pub(crate) fn write_kubeconfig(&self, path: &Path, url: &str) -> Result<()> {
        write(path, &kubeconfig(&self.lab, url, &self.authority, &self.pair))
    }
}

fn api_names() -> Result<Vec<SanType>> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    let addresses = [IpAddr::from([127, 0, 0, 1]), API_SERVICE.into(), CONTROL_PLANE.into()];
    let names = names
        .into_iter()
        .map(|n| Ok(SanType::DnsName(n.try_into().map_err(certificate_error("kube-apiserver"))?)));
    names.chain(addresses.into_iter().map(|a| Ok(SanType::IpAddress(a)))).collect()
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let subject = "tidewatch-lab-ca";
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, subject);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(certificate_error(subject))?;
    CertifiedIssuer::self_signed(parameters, key).map_err(certificate_error(subject))
}

fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    user: &str,
    group: Option<&str>,
    names: &[SanType],
) -> Result<Pair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.subject_alt_names = names.to_vec();
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    parameters.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(certificate_error(user))?;
    let certificate = parameters.signed_by(&key, authority).map_err(certificate_error(user))?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn certificate_error(subject: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let subject = subject.to_owned();
    move |source| Error::Certificate { subject, source }
}

/// JSON is YAML too.
fn kubeconfig(lab: &str, url: &str, authority: &str, pair: &Pair) -> String {
    let name = format!("tw-{lab}");
    let data = |pem: &str| base64(pem.as_bytes());
    format!(
        "{:#}\n",
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": data(authority)}}],
            "users": [{"name": name, "user": {
                "client-certificate-data": data(&pair.certificate), "client-key-data": data(&pair.key)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        })
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::file("writing", path))?;
    file.write_all(text.as_bytes()).map_err(Error::file("writing", path))
}

/// Base 64 with padding (RFC 4648 §4); one use of ten lines doesn't earn a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().chain(&[0, 0]).take(3).fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for position in 0..4 {
            let letter = ALPHABET.get(word >> (18 - 6 * position) & 63).filter(|_| position <= chunk.len());
            text.push(letter.map_or('=', |l| char::from(*l)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (from, to) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(from.as_bytes()), to);
        }
    }

    #[test]
    fn certificates_carry_the_user_and_the_group() {
        let authority = authority().unwrap();
        let pair =
            issue(&authority, "system:node:zone-1-a", Some("system:nodes"), &api_names().unwrap()).unwrap();
        assert!(pair.certificate.contains("BEGIN CERTIFICATE"));
        assert!(pair.key.contains("PRIVATE KEY"));
    }
}
