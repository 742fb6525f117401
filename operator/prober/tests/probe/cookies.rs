//! Cookies, which are kept for one run.

use http::HeaderValue;

use crate::support::http::{Reply, redirect, reply, serve};
use crate::support::{failed_with, passed, plan, prober, run};

fn setting(mut reply: Reply, cookie: &'static str) -> Reply {
    reply.headers_mut().append("set-cookie", HeaderValue::from_static(cookie));
    reply
}

#[tokio::test]
async fn a_redirect_that_sets_a_cookie_and_comes_back_is_no_circle() {
    let server = serve(|seen| match seen.header("cookie") {
        "seen=yes" => reply(200, "welcome"),
        _ => setting(redirect(302, "/"), "seen=yes; Path=/"),
    })
    .await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{bodyContains: welcome}}}}}}]}}",
        server.address
    ))
    .await;
    passed(&report);
    assert_eq!(report.checks[0].redirects, 1);
}

#[tokio::test]
async fn a_login_goes_on_in_the_checks_after_it_but_not_in_the_next_run() {
    let server = serve(|seen| match (seen.path.as_str(), seen.header("cookie")) {
        ("/login", "") => setting(reply(200, ""), "session=s3ss10n-k3y; HttpOnly; Path=/"),
        ("/orders", "session=s3ss10n-k3y") => reply(200, "3 orders"),
        _ => reply(401, "who are you?"),
    })
    .await;
    let plan = plan(&format!(
        "{{checks: [{{name: login, http: {{url: 'http://{0}/login', method: POST}}}}, {{name: orders, http: {{url: 'http://{0}/orders', expect: {{bodyContains: orders}}}}}}]}}",
        server.address
    ));
    let prober = prober();
    passed(&prober.run(&plan).await);
    // The next run begins as a new visitor, who has no cookie when logging in.
    passed(&prober.run(&plan).await);
    let logins: Vec<_> = server.seen().into_iter().filter(|seen| seen.path == "/login").collect();
    assert!(logins.len() == 2 && logins.iter().all(|seen| seen.header("cookie").is_empty()), "{logins:?}");
}

#[tokio::test]
async fn a_run_that_is_tried_again_begins_without_cookies() {
    let server = serve(|seen| match seen.header("cookie") {
        "" => setting(reply(500, ""), "tried=yes"),
        _ => reply(200, ""),
    })
    .await;
    let report =
        run(&format!("{{retries: 1, checks: [{{name: c, http: {{url: 'http://{}/'}}}}]}}", server.address))
            .await;
    failed_with(&report, &["status 500"]);
    assert_eq!(report.attempts, 2);
}

#[tokio::test]
async fn a_session_s_key_isn_t_shown() {
    let server = serve(|seen| match seen.header("cookie") {
        "" => setting(redirect(302, "/"), "session=s3ss10n-k3y"),
        cookie => reply(500, format!("no session for {cookie}")),
    })
    .await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', expect: {{status: [500], bodyContains: welcome}}}}}}]}}",
        server.address
    ))
    .await;
    failed_with(&report, &["the body doesn't have"]);
    assert!(!format!("{report:?}").contains("s3ss10n-k3y"), "{report:?}");
}

#[tokio::test]
async fn what_the_user_writes_into_the_header_is_sent_along() {
    let server = serve(|seen| match seen.path.as_str() {
        "/set" => setting(redirect(302, "/"), "mode=dark; Path=/"),
        _ => reply(200, ""),
    })
    .await;
    passed(
        &run(&format!(
            "{{checks: [{{name: c, http: {{url: 'http://{}/set', headers: {{Cookie: 'lang=de'}}}}}}]}}",
            server.address
        ))
        .await,
    );
    let cookies: Vec<_> = server.seen().iter().map(|seen| seen.header("cookie").to_owned()).collect();
    assert_eq!(cookies, ["lang=de", "lang=de; mode=dark"]);
}

#[tokio::test]
async fn cookies_are_sent_in_the_order_in_which_they_were_set() {
    let server = serve(|seen| match seen.path.as_str() {
        "/set" => ["z=1", "y=2", "x=3", "w=4", "v=5", "u=6"].into_iter().fold(redirect(302, "/"), setting),
        _ => reply(200, ""),
    })
    .await;
    passed(&run(&format!("{{checks: [{{name: c, http: {{url: 'http://{}/set'}}}}]}}", server.address)).await);
    assert_eq!(server.seen().pop().unwrap().header("cookie"), "z=1; y=2; x=3; w=4; v=5; u=6");
}

#[tokio::test]
async fn a_cookie_s_value_makes_no_secret_of_what_the_user_wrote() {
    let other = serve(|_| reply(200, "")).await;
    let to = format!("http://{}/", other.address);
    let server = serve(move |_| setting(redirect(307, &to), "locale=en-US,en")).await;
    let report = run(&format!(
        "{{checks: [{{name: c, http: {{url: 'http://{}/', method: POST, body: 'lang=en-US,en', headers: {{Accept-Language: 'en-US,en;q=0.9'}}}}}}]}}",
        server.address
    ))
    .await;
    passed(&report);
    let seen = other.only();
    assert_eq!((seen.header("accept-language"), seen.body.as_str()), ("en-US,en;q=0.9", "lang=en-US,en"));
}
