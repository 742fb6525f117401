//! Client certificates, for http and for tls.

use rustls::version::{TLS12, TLS13};
use tidewatch_prober::RunReport;

use crate::support::certificates::{Authority, DAY, Identity, authority, authority_of};
use crate::support::dns::hosts;
use crate::support::http::{redirect, reply, serve_tls};
use crate::support::{failed_with, passed, plan_with, prober_trusting, spec, tcp};

const CERTIFICATE: &str = ", clientCertificate: {secretName: login, certificateKey: crt, privateKeyKey: key}";

/// The reports of checks by tls, and by https over each version of HTTP, of a server that wants certificates of
/// `clients`; in both versions of TLS. `client` is what the Secret holds.
async fn all(clients: &Authority, client: Option<&Identity>) -> Vec<RunReport> {
    let servers = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let identity = servers.identity(&["shop.test"], DAY);
    let prober = prober_trusting(&servers.certificate, dns.address);
    let (certificate, key) = client.map(Identity::pem).unwrap_or_default();
    let secrets = [("crt", certificate.as_str()), ("key", key.as_str())];
    let more = if client.is_some() { CERTIFICATE } else { "" };
    let mut reports = Vec::new();
    for version in [&TLS12, &TLS13] {
        let acceptor = |protocols: &[&str]| identity.acceptor_for(&[version], protocols, Some(clients));
        let port = tcp::tls(acceptor(&[])).await.port();
        let tls = format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {port}{more}}}}}]}}");
        reports.push(prober.run(&plan_with(&tls, &secrets).unwrap()).await);
        for protocol in ["http/1.1", "h2"] {
            let port = serve_tls(acceptor(&[protocol]), |_| reply(200, "")).await.address.port();
            let https = format!(
                "{{checks: [{{name: c, http: {{url: 'https://shop.test:{port}/', tls: {{verify: true{more}}}}}}}]}}"
            );
            reports.push(prober.run(&plan_with(&https, &secrets).unwrap()).await);
        }
    }
    assert_eq!(reports.len(), 6);
    reports
}

#[tokio::test]
async fn a_certificate_that_the_server_knows_lets_in() {
    let clients = authority_of("Clients");
    for report in all(&clients, Some(&clients.identity(&["probe"], DAY))).await {
        passed(&report);
    }
}

#[tokio::test]
async fn a_server_that_wants_one_is_told_in_the_same_words_in_each_version() {
    for report in all(&authority_of("Clients"), None).await {
        failed_with(
            &report,
            &["the server wants a client certificate: name a Secret with one in tls.clientCertificate"],
        );
    }
}

#[tokio::test]
async fn a_certificate_that_the_server_doesn_t_take_says_whose_it_is() {
    let clients = authority_of("Clients");
    for client in [authority_of("Others").identity(&["probe"], DAY), clients.identity(&["probe"], -DAY)] {
        for report in all(&clients, Some(&client)).await {
            failed_with(&report, &["the server doesn't take the client certificate (CN=probe, O=Shop): it "]);
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_any_client_and_closes_isn_t_said_to_want_a_certificate() {
    let (servers, clients) = (authority(), authority_of("Clients"));
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let identity = servers.identity(&["shop.test"], DAY);
    let (certificate, key) = clients.identity(&["probe"], DAY).pem();
    let secrets = [("crt", certificate.as_str()), ("key", key.as_str())];
    for version in [&TLS12, &TLS13] {
        // It asks for a certificate, takes a client without one too, reads the request and closes the connection.
        let acceptor = identity.acceptor_asking(&[version], &clients);
        let address = tcp::answers_and_breaks_off(acceptor, "").await;
        for (more, shown) in [
            ("", "got none: if it needs one, name a Secret with one in tls.clientCertificate"),
            (CERTIFICATE, "got that of CN=probe, O=Shop"),
        ] {
            let yaml = format!(
                "{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/', tls: {{verify: true{more}}}}}}}]}}",
                address.port()
            );
            let plan = plan_with(&yaml, &secrets).unwrap();
            let report = prober_trusting(&servers.certificate, dns.address).run(&plan).await;
            let closed = "the server closed the connection without an answer; it had asked for a client certificate, and";
            failed_with(&report, &[closed, shown]);
        }
    }
}

#[tokio::test]
async fn another_host_isn_t_shown_the_certificate() {
    let servers = authority();
    let clients = authority_of("Clients");
    let dns = hosts(&[("shop.test", "127.0.0.1"), ("other.test", "127.0.0.1")]).await;
    let wants = |name: &str| servers.identity(&[name], DAY).acceptor_for(&[&TLS13], &[], Some(&clients));
    let other = serve_tls(wants("other.test"), |_| reply(200, "")).await;
    let to = format!("https://other.test:{}/", other.address.port());
    let server = serve_tls(wants("shop.test"), move |_| redirect(302, &to)).await;
    let (certificate, key) = clients.identity(&["probe"], DAY).pem();
    let yaml = format!(
        "{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/', tls: {{verify: true{CERTIFICATE}}}}}}}]}}",
        server.address.port()
    );
    let plan = plan_with(&yaml, &[("crt", certificate.as_str()), ("key", key.as_str())]).unwrap();
    let report = prober_trusting(&servers.certificate, dns.address).run(&plan).await;
    failed_with(&report, &["redirected to https://other.test:", "the server wants a client certificate"]);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn what_can_t_be_a_certificate_names_the_key_and_what_to_write() {
    let (certificate, key) = authority().identity(&["probe"], DAY).pem();
    let (_, other) = authority().identity(&["probe"], DAY).pem();
    for (crt, key, part) in [
        (
            certificate.as_str(),
            Some(other.as_str()),
            "the key \"key\" of the Secret login isn't the private key of the certificate",
        ),
        (certificate.as_str(), Some("none"), "the key \"key\" of the Secret login holds no private key"),
        ("none", Some(key.as_str()), "the key \"crt\" of the Secret login holds no certificate"),
        (certificate.as_str(), None, "the Secret login has no key \"key\""),
    ] {
        for check in ["tls: {host: a", "http: {url: 'https://a/', tls: {verify: true"] {
            let closing = if check.starts_with("tls") { "}" } else { "}}" };
            let yaml = format!("{{checks: [{{name: c, {check}{CERTIFICATE}{closing}}}]}}");
            let secrets: Vec<(&str, &str)> =
                std::iter::once(("crt", crt)).chain(key.map(|key| ("key", key))).collect();
            let error = plan_with(&yaml, &secrets).unwrap_err();
            assert!(error.field().ends_with("tls.clientCertificate"), "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert!(!format!("{error:?}").contains("PRIVATE KEY-----\n"), "{error:?}");
        }
    }
}

#[test]
fn a_spec_says_which_keys_of_the_secret_it_needs() {
    let spec = spec(
        "{checks: [{name: a, tls: {host: a, clientCertificate: {secretName: shop}}}, {name: b, http: {url: 'https://a/', tls: {clientCertificate: {secretName: api, certificateKey: c, privateKeyKey: k}}}}]}",
    );
    let keys: Vec<_> =
        tidewatch_prober::secrets_of(&spec).into_iter().map(|key| (key.name, key.key)).collect();
    let expected = [("api", "c"), ("api", "k"), ("shop", "tls.crt"), ("shop", "tls.key")];
    assert_eq!(keys, expected.map(|(name, key)| (name.to_owned(), key.to_owned())));
}
