use k8s_openapi::api::core::v1::Node;
use kube::core::Status;

use super::*;

const TIMING: Timing = Timing {
    backoff: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) },
    patience: Duration::from_secs(45),
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
