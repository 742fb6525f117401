//! OAuth 2.0 client credentials.

use crate::support::certificates::{DAY, authority};
use crate::support::dns::hosts;
use crate::support::http::{Server, reply, serve, serve_tls};
use crate::support::{failed_with, failure, passed, plan_with, prober, prober_trusting};

const TOKEN: &str = r#"{"access_token": "t0ken-0f-sh0p", "token_type": "Bearer", "expires_in": 60}"#;

fn yaml(api: &Server, token: &Server, more: &str) -> String {
    format!(
        r"
checks:
- name: api
  http:
    url: http://{}/
    authentication:
      oauth: {{tokenUrl: 'http://{}/token', clientId: 'shop id', clientSecret: {{secretRef: {{name: login, key: k}}}}{more}}}
",
        api.address, token.address
    )
}

#[tokio::test]
async fn a_token_is_fetched_first_and_sent() {
    let api = serve(|seen| {
        reply(if seen.header("authorization") == "Bearer t0ken-0f-sh0p" { 200 } else { 401 }, "")
    })
    .await;
    let token = serve(|_| reply(200, TOKEN)).await;
    let plan = plan_with(&yaml(&api, &token, ", scope: 'a b', audience: shop"), &[("k", "s3cr3t&")]).unwrap();
    passed(&prober().run(&plan).await);
    let seen = token.only();
    assert_eq!(seen.body, "grant_type=client_credentials&scope=a+b&audience=shop");
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    // "shop+id:s3cr3t%26"
    assert_eq!(seen.header("authorization"), "Basic c2hvcCtpZDpzM2NyM3QlMjY=");

    let token = serve(|_| reply(200, TOKEN)).await;
    let plan =
        plan_with(&yaml(&api, &token, ", clientAuthentication: RequestBody"), &[("k", "s3cr3t&")]).unwrap();
    passed(&prober().run(&plan).await);
    let seen = token.only();
    assert_eq!(seen.body, "grant_type=client_credentials&client_id=shop+id&client_secret=s3cr3t%26");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_token_that_isn_t_given_says_why_and_shows_no_secret() {
    let api = serve(|_| reply(200, "")).await;
    for (status, body, part) in [
        (
            401,
            r#"{"error": "invalid_client", "error_description": "s3cr3t-0f-sh0p is wrong"}"#,
            "status 401: invalid_client: *** is wrong",
        ),
        (500, "oops", "status 500"),
        (200, "<html>", "isn't JSON with an access_token"),
        (200, r#"{"access_token": "x", "token_type": "mac"}"#, "of type \"mac\""),
    ] {
        let token = serve(move |_| reply(status, body)).await;
        let plan = plan_with(&yaml(&api, &token, ""), &[("k", "s3cr3t-0f-sh0p")]).unwrap();
        let report = prober().run(&plan).await;
        failed_with(&report, &["OAuth: ", part]);
        assert!(!format!("{report:?}").contains("s3cr3t"), "{report:?}");
    }
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn the_name_on_the_certificate_counts_for_the_token_of_the_same_host_too() {
    let authority = authority();
    let dns = hosts(&[("other.test", "127.0.0.1")]).await;
    let prober = prober_trusting(&authority.certificate, dns.address);
    for (host, name) in [("127.0.0.1", "shop.test"), ("other.test", "other.test")] {
        let acceptor = |name: &str| authority.identity(&[name], DAY).acceptor(&[]);
        let api = serve_tls(acceptor("shop.test"), |_| reply(200, "")).await;
        let token = serve_tls(acceptor(name), |_| reply(200, TOKEN)).await;
        let yaml = format!(
            "{{checks: [{{name: api, http: {{url: 'https://127.0.0.1:{}/', tls: {{serverName: shop.test}}, authentication: {{oauth: {{tokenUrl: 'https://{host}:{}/token', clientId: a, clientSecret: {{secretRef: {{name: login, key: k}}}}}}}}}}}}]}}",
            api.address.port(),
            token.address.port(),
        );
        passed(&prober.run(&plan_with(&yaml, &[("k", "s3cr3t")]).unwrap()).await);
        assert_eq!(api.only().header("authorization"), "Bearer t0ken-0f-sh0p");
    }
}

#[tokio::test]
async fn the_token_s_address_is_judged_by_the_policy_too() {
    let api = serve(|_| reply(200, "")).await;
    let yaml = format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', authentication: {{oauth: {{tokenUrl: 'http://169.254.169.254/', clientId: a, clientSecret: {{secretRef: {{name: login, key: k}}}}}}}}}}}}]}}",
        api.address
    );
    let report = prober().run(&plan_with(&yaml, &[("k", "s3cr3t")]).unwrap()).await;
    failed_with(&report, &["OAuth: the token wasn't fetched: 169.254.169.254 isn't allowed as a target"]);
    assert_eq!(failure(&report).check, "c");
}
