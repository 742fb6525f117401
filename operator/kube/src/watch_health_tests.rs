use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::core::Status;
use serde_json::json;

use super::*;

const TIMING: Timing = Timing {
    backoff: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) },
    patience: Duration::from_secs(45),
    attempt: Duration::from_secs(40),
    proof: Duration::from_secs(10),
};

type Seen = watcher::Result<Event<Node>>;

fn refused(code: u16) -> Seen {
    let status = Status { code, message: "nodes is forbidden".to_owned(), ..Status::default() };
    Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))))
}

/// Seconds of the pauses while lists begin and are refused again and again.
fn pauses(progress: &mut Progress, code: u16, tries: usize) -> Vec<u64> {
    let mut now = Instant::now();
    let mut pauses = Vec::new();
    for _ in 0..tries {
        assert_eq!(progress.saw(&Ok(Event::<Node>::Init), TIMING, now, 1.0), None);
        let pause = progress.saw(&refused(code), TIMING, now, 1.0).unwrap();
        pauses.push(pause.as_secs());
        now += pause;
    }
    pauses
}

#[test]
fn the_tests_times_are_the_operators() {
    assert_eq!(TIMING, Timing::default());
}

#[test]
fn a_list_that_is_refused_is_tried_ever_more_rarely() {
    let mut progress = Progress::new(Watched::NODES);
    assert_eq!(pauses(&mut progress, 403, 6), [10, 20, 40, 60, 60, 60]);
    progress.saw(&Ok(Event::<Node>::InitDone), TIMING, Instant::now(), 1.0);
    assert_eq!(pauses(&mut progress, 500, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn a_watch_that_fails_says_what_is_missing_within_two_minutes_and_heals() {
    for (code, says) in [
        (403, "isn't allowed to list and watch nodes"),
        (401, "isn't allowed to list and watch nodes"),
        (404, "doesn't serve nodes"),
        (500, "doesn't answer when nodes"),
    ] {
        let (mut progress, start) = (Progress::new(Watched::NODES), Instant::now());
        let mut now = start;
        while progress.failing.is_none() {
            now += progress.saw(&refused(code), TIMING, now, 1.0).unwrap();
            assert!(now - start < Duration::from_secs(165), "{code}: it isn't told");
        }
        // The pause after it was told doesn't count.
        assert!(progress.failing.as_ref().unwrap().contains(says), "{code}: {:?}", progress.failing);
        progress.saw(&Ok(Event::<Node>::Init), TIMING, now, 1.0);
        assert!(progress.failing.is_some(), "a list that begins may be refused as well");
        progress.saw(&Ok(Event::<Node>::InitDone), TIMING, now, 1.0);
        assert_eq!(progress.failing, None);
    }
}

#[test]
fn an_interruption_is_told_to_nobody() {
    let (mut progress, now) = (Progress::new(Watched::NODES), Instant::now());
    for second in [0, 1, 3, 7, 15, 31, 44] {
        progress.saw(&refused(500), TIMING, now + Duration::from_secs(second), 1.0);
        assert_eq!(progress.failing, None, "after {second} s");
    }
}

#[test]
fn one_of_two_watches_of_a_resource_that_fails_is_a_failure_until_it_ends() {
    let health = WatchHealth::default();
    let (well, ill) = (health.begin(Watched::NODES), health.begin(Watched::NODES));
    let policies = health.begin(Watched::NETWORK_POLICIES);
    let fail = |watch: &Watch| {
        health.change(watch.id, |watches, id| {
            let progress = watches.get_mut(&id).unwrap();
            progress.saw(&refused(403), TIMING, Instant::now(), 1.0);
            progress.saw(&refused(403), TIMING, Instant::now() + TIMING.patience, 1.0);
        });
    };
    fail(&policies);
    assert!(health.failing(&[Watched::NETWORK_POLICIES]).is_some());
    assert_eq!(health.cant_work(), None, "policies only explain");
    fail(&ill);
    well.saw(&Ok(Event::<Node>::InitDone));
    assert!(health.failing(&[Watched::PODS, Watched::NODES]).is_some());
    assert_eq!(health.failing(&[Watched::PODS]), None);
    let shown = |resource: &Watched| {
        health.0.failing.get(&Labels { resource: resource.name }).map(|gauge| gauge.get())
    };
    assert_eq!((shown(&Watched::NODES), shown(&Watched::PODS)), (Some(1), None));
    drop(ill);
    assert_eq!((health.failing(&[Watched::NODES]), shown(&Watched::NODES)), (None, Some(0)));
}

#[tokio::test]
async fn whoever_asked_is_told_when_a_watch_fails_and_when_it_goes_on() {
    let health = WatchHealth::default();
    let watch = health.begin(Watched::NODES);
    let mut changes = Box::pin(health.changes());
    let fail = |seconds: u64| {
        let at = Instant::now() + Duration::from_secs(seconds);
        health.change(watch.id, |watches, id| {
            watches.get_mut(&id).unwrap().saw(&refused(403), TIMING, at, 1.0)
        });
    };
    fail(0);
    assert!(futures::poll!(changes.next()).is_pending());
    fail(60);
    health.until_failing(&[Watched::NODES]).await;
    assert_eq!(changes.next().await, Some(()));
    fail(120);
    assert!(futures::poll!(changes.next()).is_pending(), "nothing new");
    watch.saw(&Ok(Event::<Node>::InitDone));
    assert_eq!(changes.next().await, Some(()));
}

#[test]
fn failures_far_apart_are_no_streak_and_pause_no_longer() {
    let watch_failed =
        || -> Seen { Err(watcher::Error::WatchFailed(kube::Error::LinesCodecMaxLineLengthExceeded)) };
    let (mut progress, mut now) = (Progress::new(Watched::CONFIG_MAPS), Instant::now());
    for _ in 0..10 {
        let pause = progress.saw(&watch_failed(), TIMING, now, 1.0);
        assert_eq!((pause, &progress.failing), (Some(Duration::from_secs(1)), &None));
        now += Duration::from_secs(3600);
    }
}

#[test]
fn lists_that_are_refused_late_are_a_streak_all_the_same() {
    let (mut progress, now) = (Progress::new(Watched::NODES), Instant::now());
    progress.saw(&refused(504), TIMING, now, 1.0);
    assert_eq!(progress.failing, None);
    progress.saw(&refused(504), TIMING, now + Duration::from_secs(300), 1.0);
    assert!(progress.failing.is_some(), "no list ended in between");
}

#[test]
fn a_version_that_is_too_old_isnt_a_resource_that_isnt_served() {
    let gone = Status { code: 410, message: "too old resource version".to_owned(), ..Status::default() };
    for error in [
        watcher::Error::WatchError(Box::new(gone.clone())),
        watcher::Error::WatchStartFailed(kube::Error::Api(Box::new(gone))),
    ] {
        let (mut progress, now) = (Progress::new(Watched::NAMESPACES), Instant::now());
        for second in 0..60 {
            let at = now + Duration::from_secs(second);
            progress.saw(&Err::<Event<Node>, _>(clone(&error)), TIMING, at, 1.0);
        }
        let said = progress.failing.unwrap();
        assert!(said.contains("doesn't answer when namespaces"), "{said}");
    }
}

fn clone(error: &watcher::Error) -> watcher::Error {
    match error {
        watcher::Error::WatchError(status) => watcher::Error::WatchError(status.clone()),
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            watcher::Error::WatchStartFailed(kube::Error::Api(status.clone()))
        }
        other => panic!("{other}"),
    }
}

/// An API server without nodes, whose watches tell nothing, or are refused with a code.
#[derive(Default)]
struct Quiet {
    /// Watches that were begun or refused.
    watches: AtomicUsize,
    /// 0: none is refused.
    code: AtomicU16,
}

impl Quiet {
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let answer = if watches { server.watch() } else { list() };
            async move { Ok::<_, tower::BoxError>(answer) }
        });
        Client::new(service, "default")
    }

    fn watch(&self) -> Response<Body> {
        self.watches.fetch_add(1, Ordering::SeqCst);
        match self.code.load(Ordering::SeqCst) {
            0 => response(200, Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())),
            code => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "no", "code": code, "message": "no"});
                response(code, Body::from(status.to_string()))
            }
        }
    }
}

fn response(code: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn list() -> Response<Body> {
    let empty =
        json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []});
    response(200, Body::from(empty.to_string()))
}

/// Watches the nodes of an API server that refuses watches with `code`; a watch that didn't fail for `proof` works.
fn refusing(code: u16, proof: Duration) -> (WatchHealth, Arc<Quiet>, tokio::task::JoinHandle<()>) {
    let backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(10) };
    let patience = Duration::from_millis(50);
    let health = WatchHealth::with(Timing { backoff, patience, proof, ..TIMING });
    let server = Arc::new(Quiet { code: code.into(), ..Quiet::default() });
    let events = health.watch(Watched::NODES, Api::<Node>::all(server.client()), watcher::Config::default());
    let watching = tokio::spawn(events.for_each(|_| async {}));
    (health, server, watching)
}

#[tokio::test]
async fn a_list_that_ends_is_no_end_of_watches_that_are_refused() {
    for code in [403, 500] {
        let (health, server, watching) = refusing(code, Duration::from_secs(3600));
        health.until_failing(&[Watched::NODES]).await;
        let tries = server.watches.load(Ordering::SeqCst);
        while server.watches.load(Ordering::SeqCst) < tries + 20 {
            assert!(health.failing(&[Watched::NODES]).is_some(), "{code}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        watching.abort();
    }
}

#[tokio::test]
async fn a_watch_that_was_refused_goes_on_when_it_is_granted_though_nothing_changes() {
    for code in [403, 500] {
        let (health, server, watching) = refusing(code, Duration::from_millis(50));
        health.until_failing(&[Watched::NODES]).await;
        server.code.store(0, Ordering::SeqCst);
        let mut changes = Box::pin(health.changes());
        while health.failing(&[Watched::NODES]).is_some() {
            let change = tokio::time::timeout(Duration::from_secs(60), changes.next()).await;
            assert_eq!(change, Ok(Some(())), "{code}: it doesn't go on");
        }
        watching.abort();
    }
}
