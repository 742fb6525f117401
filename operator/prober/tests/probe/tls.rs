//! TLS checks, and https.

use tidewatch_prober::Prober;

use crate::support::certificates::{Authority, DAY, Identity, authority, authority_of, self_signed};
use crate::support::dns::hosts;
use crate::support::http::{reply, serve_tls};
use crate::support::{failed_with, failure, passed, plan_with, prober, prober_trusting, tcp};

async fn trusting(authority: &Authority) -> Prober {
    let dns = hosts(&[("shop.test", "127.0.0.1"), ("other.test", "127.0.0.1")]).await;
    prober_trusting(&authority.certificate, dns.address)
}

/// The reports of a TLS check and of an https check of a server with `identity`.
async fn both(prober: &Prober, identity: &Identity, more: &str) -> [tidewatch_prober::RunReport; 2] {
    let of_tls = tcp::tls(identity.acceptor(&[])).await.port();
    let of_https = serve_tls(identity.acceptor(&[]), |_| reply(200, "")).await.address.port();
    let tls = format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {of_tls}{more}}}}}]}}");
    let https = format!(
        "{{checks: [{{name: c, http: {{url: 'https://shop.test:{of_https}/', tls: {{verify: true{more}}}}}}}]}}"
    );
    [prober.run(&plan_with(&tls, &[]).unwrap()).await, prober.run(&plan_with(&https, &[]).unwrap()).await]
}

#[tokio::test]
async fn a_good_certificate_passes() {
    let authority = authority();
    let prober = trusting(&authority).await;
    for report in both(&prober, &authority.identity(&["shop.test"], 30 * DAY), "").await {
        passed(&report);
        let check = &report.checks[0];
        let left = check.certificate_expiry.unwrap().duration_since(report.at).as_secs();
        assert!((29 * DAY..=30 * DAY).contains(&left), "{left}");
        assert_eq!(check.tls_version.as_deref(), Some("TLS 1.3"));
        assert!(check.phases.tls.is_some());
    }
}

#[tokio::test]
async fn an_expired_certificate_says_since_when() {
    let authority = authority();
    let prober = trusting(&authority).await;
    for report in both(&prober, &authority.identity(&["shop.test"], -3 * DAY - 60), "").await {
        failed_with(&report, &["certificate expired 3 days ago (20"]);
        assert!(report.checks[0].certificate_expiry.unwrap() < report.at);
    }
}

#[tokio::test]
async fn a_self_signed_certificate_and_an_unknown_authority_are_told_apart() {
    let known = authority();
    let prober = trusting(&known).await;
    for report in both(&prober, &self_signed("shop.test"), "").await {
        failed_with(&report, &["self-signed certificate (", "CN=shop.test", "tls.ca"]);
        assert!(report.checks[0].certificate_expiry.is_some());
    }
    for report in both(&prober, &authority_of("Elsewhere").identity(&["shop.test"], DAY), "").await {
        failed_with(&report, &["unknown authority: the chain ends at ", "CN=Elsewhere", "tls.ca"]);
    }
    for report in both(&prober, &authority().identity(&["shop.test"], DAY), "").await {
        failed_with(&report, &["unknown authority: CN=Test authority", "with another key"]);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_says_for_which() {
    let authority = authority();
    let prober = trusting(&authority).await;
    for report in both(&prober, &authority.identity(&["other.test"], DAY), "").await {
        failed_with(&report, &["certificate is for other.test, not for shop.test"]);
    }
    // The name that a certificate is asked for may be another than the host's.
    let identity = authority.identity(&["other.test"], DAY);
    let port = tcp::tls(identity.acceptor(&[])).await.port();
    let plan =
        format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {port}, serverName: other.test}}}}]}}");
    passed(&prober.run(&plan_with(&plan, &[]).unwrap()).await);
}

#[tokio::test]
async fn a_certificate_that_ends_too_soon_fails_where_that_is_asked() {
    let authority = authority();
    let prober = trusting(&authority).await;
    let port = tcp::tls(authority.identity(&["shop.test"], 5 * DAY + 60).acceptor(&[])).await.port();
    let with = async |more: &str| {
        let yaml = format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {port}{more}}}}}]}}");
        prober.run(&plan_with(&yaml, &[]).unwrap()).await
    };
    passed(&with("").await);
    passed(&with(", minValidity: 4d").await);
    let report = with(", minValidity: 14d").await;
    failed_with(&report, &["certificate expires in 5 days (20", "valid for at least 14d"]);
    // Also where nobody verifies.
    failed_with(&with(", verify: false, minValidity: 14d").await, &["certificate expires in 5 days (20"]);
}

#[tokio::test]
async fn without_verification_only_the_expectations_count() {
    let authority = authority();
    let prober = trusting(&authority).await;
    let port = tcp::tls(self_signed("wrong.test").acceptor(&[])).await.port();
    let with = async |more: &str| {
        let yaml =
            format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {port}, verify: false{more}}}}}]}}");
        prober.run(&plan_with(&yaml, &[]).unwrap()).await
    };
    passed(&with("").await);
    passed(&with(", subjectContains: CN=wrong.test, issuerContains: O=Shop").await);
    let report = with(", subjectContains: CN=right.test").await;
    failed_with(&report, &["the certificate's subject is", "CN=right.test"]);
    assert!(failure(&report).got.as_deref().unwrap().contains("CN=wrong.test"));
    failed_with(&with(", issuerContains: O=Amazon").await, &["the certificate's issuer is"]);

    let https = serve_tls(self_signed("wrong.test").acceptor(&["h2"]), |_| reply(200, "")).await;
    let yaml = format!(
        "{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/', tls: {{verify: false}}}}}}]}}",
        https.address.port()
    );
    passed(&prober.run(&plan_with(&yaml, &[]).unwrap()).await);
}

#[tokio::test]
async fn authorities_of_a_secret_count_instead_of_the_known_ones() {
    let (known, own) = (authority(), authority());
    let prober = trusting(&known).await;
    for (identity, trusted) in
        [(own.identity(&["shop.test"], DAY), true), (known.identity(&["shop.test"], DAY), false)]
    {
        let port = tcp::tls(identity.acceptor(&[])).await.port();
        let yaml = format!(
            "{{checks: [{{name: c, tls: {{host: shop.test, port: {port}, ca: {{name: login, key: ca}}}}}}]}}"
        );
        let report = prober.run(&plan_with(&yaml, &[("ca", &own.pem)]).unwrap()).await;
        assert_eq!(report.passed(), trusted, "{report:#?}");
    }
}

#[tokio::test]
async fn a_server_that_doesn_t_speak_tls_says_so() {
    let plain = tcp::says(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let silent = tcp::silent().await;
    let closing = tcp::serve(|stream| async move { drop(stream) }).await;
    for (address, parts) in [
        (plain, ["the server doesn't speak TLS on this port"]),
        (silent, ["the TLS handshake timed out after 1s"]),
        (closing, ["the server closed the connection during the TLS handshake"]),
    ] {
        let yaml = format!(
            "{{checks: [{{name: c, timeout: 1s, tls: {{host: 127.0.0.1, port: {}, verify: false}}}}]}}",
            address.port()
        );
        failed_with(&prober().run(&plan_with(&yaml, &[]).unwrap()).await, &parts);
    }
}

#[tokio::test]
async fn a_certificate_for_an_address_is_verified_too() {
    let authority = authority();
    let prober = trusting(&authority).await;
    for (name, good) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let port = tcp::tls(authority.identity(&[name], DAY).acceptor(&[])).await.port();
        let yaml = format!("{{checks: [{{name: c, tls: {{host: 127.0.0.1, port: {port}}}}}]}}");
        let report = prober.run(&plan_with(&yaml, &[]).unwrap()).await;
        assert_eq!(report.passed(), good, "{report:#?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_server_that_isn_t_trusted() {
    let prober = trusting(&authority()).await;
    let server = serve_tls(self_signed("shop.test").acceptor(&["http/1.1"]), |_| reply(200, "")).await;
    let yaml =
        format!("{{checks: [{{name: c, http: {{url: 'https://shop.test:{}/'}}}}]}}", server.address.port());
    failed_with(&prober.run(&plan_with(&yaml, &[]).unwrap()).await, &["self-signed"]);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_must_hold_the_key_of_its_certificate_in_either_version_of_tls() {
    let authority = authority();
    let prober = trusting(&authority).await;
    for (version, name) in [(&rustls::version::TLS13, "TLS 1.3"), (&rustls::version::TLS12, "TLS 1.2")] {
        let good = authority.identity(&["shop.test"], DAY);
        // What a listener on the way could show: the certificate is public, its key isn't.
        let stolen = Identity { chain: good.chain.clone(), key: self_signed("shop.test").key };
        for (identity, holds) in [(good, true), (stolen, false)] {
            let port = tcp::tls(identity.acceptor_of(&[version], &[])).await.port();
            let yaml = format!("{{checks: [{{name: c, tls: {{host: shop.test, port: {port}}}}}]}}");
            let report = prober.run(&plan_with(&yaml, &[]).unwrap()).await;
            if holds {
                passed(&report);
                assert_eq!(report.checks[0].tls_version.as_deref(), Some(name));
            } else {
                failed_with(&report, &["doesn't hold the key of the certificate"]);
            }
        }
    }
}

/// A server's certificate by an authority that is trusted, and beside it, as in autumn 2021, a cross-signed certificate
/// of the authority by one that nobody needs any more.
fn with_surplus(trusted: &Authority, surplus_ends: i64) -> Identity {
    let mut identity = trusted.identity(&["shop.test"], 90 * DAY);
    identity.chain.push(authority_of("Old").cross_sign(trusted, surplus_ends));
    identity
}

#[tokio::test]
async fn a_surplus_certificate_in_the_chain_counts_only_where_that_is_asked() {
    let trusted = authority();
    let prober = trusting(&trusted).await;
    for (surplus_ends, words) in [(-3 * DAY - 60, "expired 3 days ago"), (5 * DAY, "expires in 4 days")] {
        let identity = with_surplus(&trusted, surplus_ends);
        let port = tcp::tls(identity.acceptor(&[])).await.port();
        let check = async |more: &str| {
            let yaml = format!(
                "{{checks: [{{name: c, tls: {{host: shop.test, port: {port}, minValidity: 14d{more}}}}}]}}"
            );
            prober.run(&plan_with(&yaml, &[]).unwrap()).await
        };
        let left = |report: &tidewatch_prober::RunReport| {
            report.checks[0].certificate_expiry.unwrap().duration_since(report.at).as_secs()
        };
        for more in ["", ", validityOf: VerifiedPath", ", validityOf: Leaf"] {
            let report = check(more).await;
            passed(&report);
            assert!(left(&report) > 80 * DAY, "{more}: {report:?}");
        }
        let presented = check(", validityOf: PresentedChain").await;
        failed_with(&presented, &["certificate of the authority CN=Test authority", words, "at least 14d"]);
        assert!(left(&presented) < 6 * DAY, "{presented:?}");
        // Nothing is verified, so that nothing says which of them count.
        failed_with(&check(", verify: false").await, &[words]);

        let port = serve_tls(identity.acceptor(&[]), |_| reply(200, "")).await.address.port();
        for (more, long) in
            [("", true), (", validityOf: Leaf", true), (", validityOf: PresentedChain", false)]
        {
            let yaml = format!(
                "{{checks: [{{name: c, http: {{url: 'https://shop.test:{port}/', tls: {{verify: true{more}}}}}}}]}}"
            );
            let report = prober.run(&plan_with(&yaml, &[]).unwrap()).await;
            passed(&report);
            assert_eq!(left(&report) > 80 * DAY, long, "{more}: {report:?}");
        }
    }
}

#[tokio::test]
async fn an_authority_in_between_counts_where_the_path_leads_through_it() {
    let (root, between) = (authority(), authority_of("Between"));
    let prober = trusting(&root).await;
    let with = |ends: &[i64]| {
        let mut identity = between.identity(&["shop.test"], 90 * DAY);
        identity.chain.extend(ends.iter().map(|end| root.cross_sign(&between, *end)));
        identity
    };
    let check = async |identity: &Identity, more: &str| {
        let port = tcp::tls(identity.acceptor(&[])).await.port();
        let yaml = format!(
            "{{checks: [{{name: c, tls: {{host: shop.test, port: {port}, minValidity: 14d{more}}}}}]}}"
        );
        prober.run(&plan_with(&yaml, &[]).unwrap()).await
    };
    let ends_soon = with(&[5 * DAY]);
    failed_with(
        &check(&ends_soon, "").await,
        &["certificate of the authority CN=Between", "expires in 4 days"],
    );
    passed(&check(&ends_soon, ", validityOf: Leaf").await);
    // A renewed one beside it: that is the way that clients will take.
    passed(&check(&with(&[5 * DAY, 60 * DAY]), "").await);
    passed(&check(&with(&[60 * DAY, 5 * DAY]), "").await);
}

#[tokio::test]
async fn an_https_check_says_which_name_the_certificate_must_have() {
    let authority = authority();
    let prober = trusting(&authority).await;
    let server = serve_tls(authority.identity(&["shop.test"], DAY).acceptor(&[]), |_| reply(200, "")).await;
    let port = server.address.port();
    for (url, name, good) in [
        ("https://127.0.0.1", "shop.test", true),
        ("https://other.test", "shop.test", true),
        ("https://shop.test", "other.test", false),
        ("https://127.0.0.1", "${name}", true),
    ] {
        let yaml = format!(
            "{{variables: {{name: shop.test}}, checks: [{{name: c, http: {{url: '{url}:{port}/', tls: {{serverName: '{name}'}}}}}}]}}"
        );
        let report = prober.run(&plan_with(&yaml, &[]).unwrap()).await;
        assert_eq!(report.passed(), good, "{url} {name}: {report:?}");
    }
    // Whom the request is for stays as it is.
    assert_eq!(server.seen()[0].header("host"), format!("127.0.0.1:{port}"));
}

#[tokio::test]
async fn names_in_any_letters_are_found_and_verified() {
    let authority = authority();
    let ascii = "xn--bcher-kva.test";
    let dns = hosts(&[(ascii, "127.0.0.1")]).await;
    let prober = prober_trusting(&authority.certificate, dns.address);
    let port =
        serve_tls(authority.identity(&[ascii], DAY).acceptor(&[]), |_| reply(200, "")).await.address.port();
    let dns_port = dns.address.port();
    for check in [
        format!("http: {{url: 'https://bücher.test:{port}/'}}"),
        format!("http: {{url: 'https://127.0.0.1:{port}/', tls: {{serverName: BÜCHER.test}}}}"),
        format!("tls: {{host: bücher.test, port: {port}}}"),
        format!("tls: {{host: 127.0.0.1, port: {port}, serverName: bücher.test}}"),
        format!("tcp: {{host: bücher.test, port: {port}}}"),
        format!("dns: {{name: bücher.test, server: 127.0.0.1, port: {dns_port}}}"),
        format!("dns: {{name: bücher.test, server: bücher.test, port: {dns_port}}}"),
    ] {
        let report =
            prober.run(&plan_with(&format!("{{checks: [{{name: c, {check}}}]}}"), &[]).unwrap()).await;
        assert!(report.passed(), "{check}: {report:?}");
    }
}
