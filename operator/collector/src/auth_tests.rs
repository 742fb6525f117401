use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::clock::ManualClock;

const USER: &str = "system:serviceaccount:tidewatch-system:tidewatch-agent";
const NODE: &str = "authentication.kubernetes.io/node-name";
const POD: &str = "authentication.kubernetes.io/pod-uid";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn token(second: i64) -> String {
    claims::token(&json!({"exp": at(second).as_second(), "aud": [AUDIENCE]}))
}

fn review(extra: &[(&str, &str)]) -> Review {
    Review {
        authenticated: true,
        username: USER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        extra: extra.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
        error: None,
    }
}

#[test]
fn only_the_agents_account_with_our_audience_on_a_node_is_let_in() {
    let good = review(&[(NODE, "node-a")]);
    let pod_uid = "00000000-0000-0000-0000-000000000001";
    for (review, expected) in [
        (good.clone(), Ok(Bound::Node("node-a".into()))),
        (review(&[(POD, pod_uid)]), Ok(Bound::Pod(Uid::parse(pod_uid).unwrap()))),
        (review(&[(NODE, ""), (POD, pod_uid)]), Ok(Bound::Pod(Uid::parse(pod_uid).unwrap()))),
        (review(&[]), Err(Denial::Unbound)),
        (Review { audiences: vec!["api".to_owned()], ..good.clone() }, Err(Denial::WrongAudience)),
        (Review { audiences: Vec::new(), ..good.clone() }, Err(Denial::WrongAudience)),
        (
            Review { authenticated: false, ..good.clone() },
            Err(Denial::Refused("not authenticated".to_owned())),
        ),
        (
            Review { username: "system:serviceaccount:shop:tidewatch-agent".to_owned(), ..good },
            Err(Denial::WrongAccount {
                found: "system:serviceaccount:shop:tidewatch-agent".to_owned(),
                expected: USER.to_owned(),
            }),
        ),
    ] {
        assert_eq!(decide(&review, USER), expected, "{review:?}");
    }
}

/// Answers as told, and counts.
struct Fake {
    answer: Mutex<Result<Review, ReviewError>>,
    asked: AtomicUsize,
}

impl Reviewer for Arc<Fake> {
    fn review<'a>(&'a self, _token: &'a str) -> BoxFuture<'a, Result<Review, ReviewError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move { answer })
    }
}

struct Setup {
    fake: Arc<Fake>,
    clock: Arc<ManualClock>,
    cluster: Cluster,
    authenticator: Authenticator,
}

fn setup(answer: Result<Review, ReviewError>) -> Setup {
    let fake = Arc::new(Fake { answer: Mutex::new(answer), asked: AtomicUsize::new(0) });
    let clock = Arc::new(ManualClock::at(at(0)));
    let cluster = Cluster::default();
    let authenticator = Authenticator::new(
        Box::new(fake.clone()),
        "tidewatch-system",
        "tidewatch-agent",
        cluster.clone(),
        clock.clone(),
        Metrics::default(),
    );
    Setup { fake, clock, cluster, authenticator }
}

impl Setup {
    async fn ask(&self, token: &str) -> Result<Agent, AuthError> {
        self.authenticator.authenticate(Some(format!("Bearer {token}").as_bytes())).await
    }

    fn asked(&self) -> usize {
        self.fake.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_token_is_reviewed_once_until_trust_in_it_ends() {
    let setup = setup(Ok(review(&[(NODE, "node-a")])));
    let long = token(3600);
    for _ in 0..100 {
        assert_eq!(setup.ask(&long).await, Ok(Agent { node: "node-a".into() }));
    }
    assert_eq!(setup.asked(), 1);
    setup.clock.set(at(301));
    setup.ask(&long).await.unwrap();
    assert_eq!(setup.asked(), 2, "after 5 minutes it is asked about again");
    let short = token(310);
    setup.ask(&short).await.unwrap();
    setup.clock.set(at(311));
    assert_eq!(setup.ask(&short).await, Err(AuthError::Denied(Denial::Forged("it has expired"))));
}

#[tokio::test]
async fn a_refused_token_is_not_asked_about_again_for_a_while() {
    let setup = setup(Ok(Review { error: Some("bad signature".to_owned()), ..Review::default() }));
    for _ in 0..10 {
        let denied = Err(AuthError::Denied(Denial::Refused("bad signature".to_owned())));
        assert_eq!(setup.ask(&token(3600)).await, denied);
    }
    assert_eq!(setup.asked(), 1);
    setup.clock.set(at(31));
    *setup.fake.answer.lock().unwrap() = Ok(review(&[(NODE, "node-a")]));
    assert!(setup.ask(&token(3600)).await.is_ok());
}

#[tokio::test]
async fn an_api_server_that_is_away_is_no_refusal_and_is_not_remembered() {
    let setup = setup(Err(ReviewError("connection refused".to_owned())));
    assert!(matches!(setup.ask(&token(3600)).await, Err(AuthError::Unavailable(_))));
    *setup.fake.answer.lock().unwrap() = Ok(review(&[(NODE, "node-a")]));
    assert!(setup.ask(&token(3600)).await.is_ok());
}

#[tokio::test]
async fn what_is_no_token_of_ours_never_reaches_the_api_server() {
    let setup = setup(Ok(review(&[(NODE, "node-a")])));
    let long = "x".repeat(100_000);
    for header in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic YTpi"),
        Some("Bearer forged"),
        Some("Bearer a.b.c"),
        Some(&*format!("Bearer {long}")),
    ] {
        let denied = setup.authenticator.authenticate(header.map(str::as_bytes)).await;
        assert!(matches!(denied, Err(AuthError::Denied(_))), "{header:?}");
    }
    let invalid = setup.authenticator.authenticate(Some(&[0xff, 0xfe])).await;
    assert!(matches!(invalid, Err(AuthError::Denied(Denial::Missing))));
    assert_eq!(setup.asked(), 0);
}

#[tokio::test]
async fn a_token_without_a_node_is_placed_by_its_pod_once_the_pod_is_known() {
    use tidewatch_cluster::{Fact, PodFact, PodPhase};
    let pod_uid = "00000000-0000-0000-0000-000000000007";
    let setup = setup(Ok(review(&[(POD, pod_uid)])));
    assert!(matches!(setup.ask(&token(3600)).await, Err(AuthError::Unavailable(_))));
    let pod = PodFact {
        uid: Uid::parse(pod_uid).unwrap(),
        static_uid: None,
        key: "tidewatch-system/tidewatch-agent-x".into(),
        node: Some("node-b".into()),
        workload: "tidewatch-system/DaemonSet/tidewatch-agent".into(),
        labels: Arc::new(BTreeMap::new()),
        ips: Vec::new(),
        host_network: true,
        phase: PodPhase::Running,
        ready: true,
        agent: true,
        started: None,
        ..PodFact::default()
    };
    setup.cluster.update(|index| index.apply(Fact::Pod(pod), at(0)));
    assert_eq!(setup.ask(&token(3600)).await, Ok(Agent { node: "node-b".into() }));
}

#[test]
fn neither_a_token_nor_a_key_is_ever_printed() {
    let setup = setup(Ok(Review::default()));
    assert!(!format!("{:?}", setup.authenticator).contains("Bearer"));
}

#[tokio::test]
async fn that_tokens_may_not_be_reviewed_is_told_until_they_may() {
    use axum::body::Body;
    use axum::http::{Request, Response};

    use tidewatch_kube::backoff::Backoff;
    use tidewatch_kube::watch_health::{Timing, WatchHealth, Watched};

    let code = Arc::new(AtomicUsize::new(403));
    let answers = Arc::clone(&code);
    let service = tower::service_fn(move |_: Request<kube::client::Body>| {
        let code = u16::try_from(answers.load(Ordering::Relaxed)).unwrap();
        let answer = match code {
            201 => {
                json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {}, "status": {"authenticated": true}})
            }
            code => {
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "no", "code": code, "message": "no"})
            }
        };
        let response = Response::builder().status(code).body(Body::from(answer.to_string())).unwrap();
        async move { Ok::<_, tower::BoxError>(response) }
    });
    let backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(10) };
    let patience = Duration::from_millis(50);
    let health = WatchHealth::with(Timing { backoff, patience, ..Timing::default() });
    let reviewer = KubeReviewer::new(kube::Client::new(service, "default"), &health);
    let failing = || health.failing(&[Watched::TOKEN_REVIEWS]);

    // An API server that doesn't answer is told of by the watches.
    code.store(500, Ordering::Relaxed);
    reviewer.review("t").await.unwrap_err();
    code.store(403, Ordering::Relaxed);
    reviewer.review("t").await.unwrap_err();
    assert_eq!(failing(), None, "once may be chance");
    while failing().is_none() {
        reviewer.review("t").await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = failing().unwrap();
    assert!(said.contains("isn't allowed to create tokenreviews.authentication.k8s.io"), "{said}");
    assert_eq!(health.cant_work(), Some(said));
    code.store(201, Ordering::Relaxed);
    reviewer.review("t").await.unwrap();
    assert_eq!(failing(), None);
}
