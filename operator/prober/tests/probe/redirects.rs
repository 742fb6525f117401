//! Redirects.

use crate::support::certificates::{DAY, authority};
use crate::support::dns::hosts;
use crate::support::http::{redirect, reply, serve, serve_tls};
use crate::support::{failed_with, passed, plan_with, prober, prober_trusting, run};

#[tokio::test]
async fn a_redirect_is_followed_and_the_last_answer_counts() {
    let server = serve(|seen| match seen.path.as_str() {
        "/" => redirect(302, "/next"),
        "/next" => redirect(307, "last?x=1"),
        _ => reply(200, "here"),
    })
    .await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{bodyContains: here}}}}}}]}}",
        server.address
    ))
    .await;
    passed(&report);
    assert_eq!(report.checks[0].redirects, 2);
    assert_eq!(server.seen().last().unwrap().path, "/last?x=1");
}

#[tokio::test]
async fn a_redirect_that_isn_t_to_be_followed_is_the_answer() {
    let server = serve(|_| redirect(301, "https://elsewhere.test/")).await;
    let yaml = |expect: &str| {
        format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', followRedirects: false, expect: {expect}}}}}]}}",
            server.address
        )
    };
    passed(&run(&yaml("{status: [301], headers: [{name: location, contains: elsewhere}]}")).await);
    failed_with(
        &run(&yaml("{}")).await,
        &["status 301 (it redirects to https://elsewhere.test/), expected 200–299"],
    );
}

#[tokio::test]
async fn a_redirect_asks_again_as_browsers_do() {
    for (status, method, after) in [
        (302, "PUT", "PUT"),
        (301, "DELETE", "DELETE"),
        (302, "POST", "GET"),
        (303, "PATCH", "GET"),
        (308, "POST", "POST"),
    ] {
        let server = serve(move |seen| match seen.path.as_str() {
            "/" => redirect(status, "/next"),
            _ => reply(200, ""),
        })
        .await;
        let report = run(&format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/', method: {method}, body: order}}}}]}}",
            server.address
        ))
        .await;
        passed(&report);
        let last = server.seen().pop().unwrap();
        let body = if after == "GET" { "" } else { "order" };
        assert_eq!((last.method.as_str(), last.body.as_str()), (after, body), "{status} {method}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end_with_the_way_they_took() {
    let server =
        serve(|seen| if seen.path == "/a" { redirect(302, "/b") } else { redirect(302, "/a") }).await;
    let report =
        run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/a'}}}}]}}", server.address)).await;
    failed_with(&report, &["redirected in a circle: ", "/a → ", "/b → "]);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_endless_chain_of_redirects_ends_after_ten() {
    let server = serve(|seen| redirect(302, &format!("{}x", seen.path))).await;
    let report =
        run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/'}}}}]}}", server.address)).await;
    failed_with(&report, &["more than 10 redirects"]);
    assert_eq!(server.seen().len(), 11);
}

#[tokio::test]
async fn another_origin_gets_the_headers_but_no_secrets() {
    let other = serve(|_| reply(200, "")).await;
    let to = format!("http://{}/", other.address);
    let server = serve(move |_| redirect(302, &to)).await;
    let yaml = format!(
        "{{tracing: Active, checks: [{{name: c, http: {{url: 'http://{}/', headers: {{X-Tenant: shop, Cookie: a=b}}, authentication: {{bearer: {{secretRef: {{name: login, key: k}}}}}}}}}}]}}",
        server.address
    );
    passed(&prober().run(&plan_with(&yaml, &[("k", "s3cr3t")]).unwrap()).await);
    assert_eq!(server.only().header("authorization"), "Bearer s3cr3t");
    assert_eq!(server.only().header("x-tenant"), "shop");
    let seen = other.only();
    for header in ["authorization", "cookie"] {
        assert!(!seen.headers.contains_key(header), "{seen:?}");
    }
    assert_eq!(seen.header("x-tenant"), "shop");
    assert_eq!(seen.header("host"), other.address.to_string());
    assert!(seen.header("user-agent").starts_with("tidewatch/"));
    assert!(!seen.header("traceparent").is_empty());
}

#[tokio::test]
async fn a_login_isn_t_led_from_https_to_http() {
    let authority = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1")]).await;
    let plain = serve(|_| reply(200, "")).await;
    let to = format!("http://{}/", plain.address);
    let identity = authority.identity(&["shop.test"], 30 * DAY);
    let server = serve_tls(identity.acceptor(&[]), move |_| redirect(302, &to)).await;
    let url = format!("https://shop.test:{}/", server.address.port());
    let prober = prober_trusting(&authority.certificate, dns.address);
    let login = plan_with(
        &format!(
            "{{checks: [{{name: c, http: {{url: '{url}', authentication: {{bearer: {{secretRef: {{name: login, key: k}}}}}}}}}}]}}"
        ),
        &[("k", "s3cr3t")],
    );
    failed_with(&prober.run(&login.unwrap()).await, &["redirected from https to http://"]);
    assert!(plain.seen().is_empty());
    let without = plan_with(&format!("{{checks: [{{name: c, http: {{url: '{url}'}}}}]}}"), &[]);
    passed(&prober.run(&without.unwrap()).await);
}

#[tokio::test]
async fn a_failure_after_a_redirect_says_where_it_was() {
    let bound = crate::support::tcp::closed();
    let closed = bound.address;
    let server = serve(move |_| redirect(302, &format!("http://{closed}/gone"))).await;
    let report =
        run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/'}}}}]}}", server.address)).await;
    failed_with(&report, &[&format!("redirected to http://{closed}/gone: connection refused")]);
}

#[tokio::test]
async fn an_extracted_value_in_a_header_isn_t_led_to_another_origin() {
    let other = serve(|_| reply(200, "")).await;
    let to = format!("http://{}/", other.address);
    let server = serve(move |seen| match seen.path.as_str() {
        "/login" => reply(200, r#"{"token": "s3ss10n-t0ken"}"#),
        _ => redirect(302, &to),
    })
    .await;
    let report = run(&format!(
        "{{variables: {{tenant: shop}}, checks: [{{name: login, http: {{url: 'http://{0}/login', extract: [{{name: t, jsonPath: $.token}}]}}}}, {{name: c, http: {{url: 'http://{0}/', headers: {{X-Session: 'is ${{t}}', X-Tenant: '${{tenant}}'}}}}}}]}}",
        server.address
    ))
    .await;
    passed(&report);
    assert_eq!(server.seen()[1].header("x-session"), "is s3ss10n-t0ken");
    assert_eq!((other.only().header("x-session"), other.only().header("x-tenant")), ("", "shop"));
}

#[tokio::test]
async fn a_failure_after_a_redirect_names_the_address_that_answered() {
    let other = serve(|_| reply(503, "not now")).await;
    let to = format!("http://{}/home", other.address);
    let server = serve({
        let to = to.clone();
        move |_| redirect(302, &to)
    })
    .await;
    for (more, part) in [
        ("", "status 503, expected 200–299"),
        ("expect: {status: [503], bodyContains: certainly}", "the body doesn't have"),
        ("expect: {status: [503]}, extract: [{name: a, jsonPath: $.a}]", "extract a: the body isn't JSON"),
    ] {
        let report =
            run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/', {more}}}}}]}}", server.address))
                .await;
        failed_with(&report, &[&format!("redirected to {to}: {part}")]);
    }
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_the_last_answer_and_says_so() {
    let empty = serve(|_| redirect(302, "")).await;
    let missing = serve(|_| reply(302, "")).await;
    for (server, hint) in
        [(empty, "a redirect with an empty Location"), (missing, "a redirect without a Location")]
    {
        let yaml = |expect: &str| {
            format!(
                "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {expect}}}}}]}}",
                server.address
            )
        };
        failed_with(&run(&yaml("{}")).await, &["status 302", hint, "expected 200–299"]);
        passed(&run(&yaml("{status: [302]}")).await);
    }
}

#[tokio::test]
async fn a_name_for_the_certificate_counts_at_its_own_host_only() {
    let authority = authority();
    let dns = hosts(&[("shop.test", "127.0.0.1"), ("other.test", "127.0.0.1")]).await;
    let other =
        serve_tls(authority.identity(&["other.test"], DAY).acceptor(&[]), |_| reply(200, "here")).await;
    let to = format!("https://other.test:{}/", other.address.port());
    let server =
        serve_tls(authority.identity(&["shop.test"], DAY).acceptor(&[]), move |_| redirect(302, &to)).await;
    let yaml = format!(
        "{{checks: [{{name: c, http: {{url: 'https://127.0.0.1:{}/', tls: {{serverName: shop.test}}, expect: {{bodyContains: here}}}}}}]}}",
        server.address.port()
    );
    passed(&prober_trusting(&authority.certificate, dns.address).run(&plan_with(&yaml, &[]).unwrap()).await);
}
