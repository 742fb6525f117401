//! The heartbeats' scripts in a headless Chromium, with a stand-in for the Synthetics library.
//!
//! It needs Debian's chromium, Node.js 20 with npm, and npm's registry for the two drivers that npm/ pins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic fails the test, as it should"
)]

use std::net::TcpListener;
use std::path::Path;
use std::sync::LazyLock;

use tidewatch_heartbeat_tests::{Browser, Canary, Outcome, Pages, Screenshots, Tools, Untrusted, ended};

static TOOLS: LazyLock<Tools> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("heartbeat");
    Tools::find(&folder).unwrap_or_else(|error| panic!("{error:#}"))
});

/// What a PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Runs a heartbeat, and sees to it that its browser is gone.
async fn run(browser: Browser, heartbeat: &str, screenshots: Screenshots) -> Outcome {
    let canary = Canary::new(browser, heartbeat).unwrap();
    let outcome = canary.run(&TOOLS, screenshots).await.unwrap();
    assert!(browser.closes != outcome.left_open, "{}: {outcome:?}", browser.runtime);
    let left = ended(canary.folder()).await;
    assert!(left.is_empty(), "{}: processes are left: {left:#?}", browser.runtime);
    outcome
}

/// A port of loopback that nobody listens on.
fn refused() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

async fn good_pages_pass(browser: Browser) {
    let pages = Pages::serve().await.unwrap();
    let urls = ["/good", "/redirect", "/dialog", "/picture", "/good?again"].map(|path| pages.url(path));
    let outcome = run(browser, &format!("urls: {urls:?}"), Screenshots::Work).await;
    assert!(outcome.passed, "{outcome:#?}");
    assert_eq!(outcome.answer.as_deref(), Some("5 pages loaded"));
    assert_eq!(outcome.launches, 1);
    // A step and a picture for each, by names of their own.
    let host = pages.url("").replace("http://", "").replace(':', "-");
    let names: Vec<&str> = outcome.steps.iter().map(|step| step.name.as_str()).collect();
    let expected = ["good", "redirect", "dialog", "picture", "good-2"].map(|page| format!("{host}-{page}"));
    assert_eq!(names, expected);
    assert_eq!(outcome.pictures.len(), 5, "{:?}", outcome.pictures.keys());
    for (file, picture) in &outcome.pictures {
        assert!(picture.starts_with(PNG) && picture.len() > 1_000, "{file}");
        assert!(names.iter().any(|name| file.contains(&format!("{name}-loaded"))), "{file}: {names:?}");
    }
}

#[tokio::test]
async fn puppeteer_loads_good_pages_and_keeps_a_picture_of_each() {
    good_pages_pass(Browser::PUPPETEER).await;
}

#[tokio::test]
async fn playwright_loads_good_pages_and_keeps_a_picture_of_each() {
    good_pages_pass(Browser::PLAYWRIGHT).await;
}

#[tokio::test]
async fn old_runtimes_find_the_script_and_their_library_and_name_the_one_bad_page() {
    let pages = Pages::serve().await.unwrap();
    let bad = format!("{} answered 500", pages.url("/500"));
    for browser in [Browser::PUPPETEER_10, Browser::PLAYWRIGHT_2] {
        let urls = ["/good", "/500", "/redirect"].map(|path| pages.url(path));
        let outcome = run(browser, &format!("urls: {urls:?}"), Screenshots::Work).await;
        assert_eq!(outcome.reason, Some(format!("1 of 3 pages failed: {bad}")), "{outcome:#?}");
        let passed: Vec<bool> = outcome.steps.iter().map(|step| step.passed).collect();
        assert_eq!((passed, outcome.pictures.len()), (vec![true, false, true], 3));
        // Alone it needs no count.
        let outcome = run(browser, &format!("urls: ['{}']", pages.url("/500")), Screenshots::Work).await;
        assert_eq!(outcome.reason, Some(bad.clone()));
    }
}

/// Every way to fail but being slow.
async fn each_failure_has_its_sentence(browser: Browser) {
    let (pages, untrusted) = (Pages::serve().await.unwrap(), Untrusted::serve().await.unwrap());
    let no_page = "no page came: it is a download, or an answer without content";
    let bad = [
        (pages.url("/500"), " answered 500"),
        (pages.url("/500-without-body"), " answered 500"),
        (pages.url("/404"), " answered 404"),
        (pages.url("/redirect-to-500"), " answered 500"),
        (pages.url("/loop"), ": redirects without end"),
        (pages.url("/nothing"), &format!(": {no_page}")),
        (pages.url("/download"), &format!(": {no_page}")),
        (refused(), ": connection refused"),
        (untrusted.url(), ": the certificate isn't from a known authority"),
        ("http://nowhere.invalid/".to_owned(), ": the name doesn't resolve"),
    ];
    let urls: Vec<&String> = bad.iter().map(|(url, _)| url).collect();
    let outcome =
        run(browser, &format!("urls: {urls:?}, screenshot: false, pageTimeout: 20s"), Screenshots::Work)
            .await;
    assert!(!outcome.passed, "{outcome:#?}");
    let sentences: Vec<String> = bad.iter().map(|(url, why)| format!("{url}{why}")).collect();
    assert_eq!(outcome.reason, Some(format!("10 of 10 pages failed: {}", sentences.join("; "))));
    let told: Vec<&str> = outcome.steps.iter().filter_map(|step| step.error.as_deref()).collect();
    assert_eq!(told, sentences);
    assert!(outcome.pictures.is_empty(), "nobody asked for {:?}", outcome.pictures.keys());
}

#[tokio::test]
async fn puppeteer_tells_each_failure_in_a_sentence_and_tries_every_page() {
    each_failure_has_its_sentence(Browser::PUPPETEER).await;
}

#[tokio::test]
async fn playwright_tells_each_failure_in_a_sentence_and_tries_every_page() {
    each_failure_has_its_sentence(Browser::PLAYWRIGHT).await;
}

/// Pages that never come, one of which keeps its browser busy, and one that does.
async fn slow_pages_are_given_up(browser: Browser) {
    let pages = Pages::serve().await.unwrap();
    let slow = ["/slow", "/silent", "/busy"].map(|path| pages.url(path));
    let urls: Vec<String> = slow.iter().cloned().chain([pages.url("/good")]).collect();
    let outcome = run(browser, &format!("urls: {urls:?}, pageTimeout: 6s"), Screenshots::Work).await;
    let sentences = slow.map(|url| format!("{url} didn't load within 6s"));
    assert_eq!(
        outcome.reason,
        Some(format!("3 of 4 pages failed: {}", sentences.join("; "))),
        "{outcome:#?}"
    );
    let last = &outcome.steps[3].name;
    assert!(outcome.pictures.keys().any(|file| file.contains(last.as_str())), "{outcome:#?}");
}

#[tokio::test]
async fn puppeteer_gives_slow_pages_up_and_goes_on() {
    slow_pages_are_given_up(Browser::PUPPETEER).await;
}

#[tokio::test]
async fn playwright_gives_slow_pages_up_and_goes_on() {
    slow_pages_are_given_up(Browser::PLAYWRIGHT).await;
}

#[tokio::test]
async fn a_picture_that_fails_or_never_comes_fails_no_page() {
    let pages = Pages::serve().await.unwrap();
    let urls = ["/good", "/redirect"].map(|path| pages.url(path));
    for browser in [Browser::PUPPETEER, Browser::PLAYWRIGHT] {
        for screenshots in [Screenshots::Fail, Screenshots::Hang] {
            let outcome = run(browser, &format!("urls: {urls:?}"), screenshots).await;
            assert!(outcome.passed, "{outcome:#?}");
            assert!(outcome.pictures.is_empty() && outcome.log.contains("no screenshot: "), "{outcome:#?}");
        }
    }
}
