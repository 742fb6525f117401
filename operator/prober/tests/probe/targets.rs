//! Which addresses may be reached, at the very moment of connecting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewatch_prober::{Prober, ProberConfig, ResolverSource, RunReport, TargetPolicy};

use crate::support::dns::{Dns, address, from_zone, hosts, serve as serve_dns};
use crate::support::http::{redirect, reply, serve};
use crate::support::{config, failed_with, passed, plan};

fn with(dns: &Dns, allow: TargetPolicy) -> Prober {
    Prober::new(ProberConfig { allow, resolver: ResolverSource::Servers(vec![dns.address]), ..config() })
        .unwrap()
}

async fn probe(prober: &Prober, check: &str) -> RunReport {
    prober.run(&plan(&format!("{{checks: [{{name: c, {check}}}]}}"))).await
}

#[tokio::test]
async fn a_name_of_a_refused_address_is_refused_whatever_is_asked() {
    for ip in [
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "0.0.0.0",
    ] {
        let ip: &'static str = ip;
        let dns = hosts(&[("evil.test", ip)]).await;
        let prober = with(&dns, TargetPolicy::default());
        for check in [
            "http: {url: 'http://evil.test/latest/meta-data/'}",
            "http: {url: 'https://evil.test/'}",
            "tls: {host: evil.test}",
            "tcp: {host: evil.test, port: 80}",
            "dns: {name: shop.test, server: evil.test}",
        ] {
            let report = probe(&prober, check).await;
            failed_with(&report, &["isn't allowed as a target"]);
            assert_eq!(report.checks[0].phases.connect, None, "{report:#?}");
        }
    }
}

#[tokio::test]
async fn addresses_in_every_spelling_are_refused() {
    let dns = hosts(&[]).await;
    let prober = with(&dns, TargetPolicy::default());
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost/",
        "http://a.localhost./",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
    ] {
        failed_with(
            &probe(&prober, &format!("http: {{url: '{url}'}}")).await,
            &["isn't allowed as a target"],
        );
    }
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_is_refused() {
    let server = serve(|_| redirect(302, "http://169.254.169.254/latest/meta-data/")).await;
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let prober = with(&dns, TargetPolicy { loopback: true, ..TargetPolicy::default() });
    let report =
        probe(&prober, &format!("http: {{url: 'http://shop.test:{}/'}}", server.address.port())).await;
    failed_with(&report, &["redirected to", "169.254.169.254 isn't allowed as a target"]);
}

#[tokio::test]
async fn a_name_that_is_rebound_between_requests_is_judged_anew() {
    let asked = Arc::new(AtomicUsize::new(0));
    let dns = serve_dns({
        let asked = Arc::clone(&asked);
        move |query, _| {
            // The first answers (A and AAAA) are harmless; from then on the name is the metadata service's.
            let ip = if asked.fetch_add(1, Ordering::SeqCst) < 2 { "127.0.0.1" } else { "169.254.169.254" };
            from_zone(query, &[("shop.test", address(ip))])
        }
    })
    .await;
    let server = serve(|seen| if seen.path == "/" { redirect(302, "/again") } else { reply(200, "") }).await;
    let prober = with(&dns, TargetPolicy { loopback: true, ..TargetPolicy::default() });
    let report =
        probe(&prober, &format!("http: {{url: 'http://shop.test:{}/'}}", server.address.port())).await;
    failed_with(&report, &["169.254.169.254 isn't allowed as a target"]);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn of_several_addresses_the_allowed_one_is_probed() {
    let server = serve(|_| reply(200, "")).await;
    let dns = hosts(&[("shop.test", "169.254.169.254"), ("shop.test", "127.0.0.1")]).await;
    let prober = with(&dns, TargetPolicy { loopback: true, ..TargetPolicy::default() });
    let report =
        probe(&prober, &format!("http: {{url: 'http://shop.test:{}/'}}", server.address.port())).await;
    passed(&report);
    assert_eq!(report.checks[0].ip, Some("127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn an_exception_permits_one_address_of_a_refused_range() {
    let server = serve(|_| reply(200, "")).await;
    let dns = hosts(&[]).await;
    let url = format!("http: {{url: 'http://{}/'}}", server.address);
    let denied = vec!["127.0.0.0/8".parse().unwrap()];
    let policy = TargetPolicy { loopback: true, denied: denied.clone(), ..TargetPolicy::default() };
    failed_with(
        &probe(&with(&dns, policy), &url).await,
        &["it is the API server or in another denied range"],
    );
    let allowed = vec!["127.0.0.1/32".parse().unwrap()];
    let policy = TargetPolicy { denied, allowed, ..TargetPolicy::default() };
    passed(&probe(&with(&dns, policy), &url).await);
}

#[tokio::test]
async fn what_may_be_reached_can_change_between_runs() {
    let server = serve(|_| reply(200, "")).await;
    let prober = Prober::new(config()).unwrap();
    let check = format!("http: {{url: 'http://{}/'}}", server.address);
    passed(&probe(&prober, &check).await);
    let denied = vec!["127.0.0.1/32".parse().unwrap()];
    prober.allow(TargetPolicy { loopback: true, denied, ..TargetPolicy::default() });
    failed_with(&probe(&prober, &check).await, &["127.0.0.1 isn't allowed as a target"]);
}
