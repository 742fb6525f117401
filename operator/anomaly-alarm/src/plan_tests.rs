use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tidewatch_aws::types::{Alarm, Detector, State, Training};
use tidewatch_managed::AwsPolicy;

use super::*;
use crate::facts::{Facts, MonitorFact, Published, scope_of};
use crate::observe::Stale;

fn desired() -> Desired {
    let alarm = serde_json::from_value(json!({
        "apiVersion": "tidewatch.dev/v1alpha1", "kind": "AnomalyAlarm",
        "metadata": {"namespace": "shop", "name": "cpu", "uid": "u1"},
        "spec": {
            "metric": {"cloudWatch": {"namespace": "A", "metricName": "B"}},
            "condition": {"band": {}},
            "when": {"networkHealth": {"monitor": "net"}},
            "mute": {"schedule": "0 2 * * 0", "duration": "2h"},
            "tags": {"team": "a"},
        },
    }))
    .unwrap();
    let published = Some(Published { namespace: "Tidewatch".to_owned(), region: None });
    let monitors = BTreeMap::from([("net".to_owned(), MonitorFact { publishes: published })]);
    let policy = AwsPolicy { enabled: true, ..AwsPolicy::default() };
    Desired::new(&alarm, &Facts { monitors, ..Facts::default() }, &policy, Some("eu-west-1")).unwrap()
}

/// Everything as desired.
fn in_place(desired: &Desired) -> (Observed, AnomalyAlarmStatus) {
    let alarms = desired.alarms().map(|(_, config)| {
        let tags = desired.tags_of(&config, true);
        let alarm = Alarm {
            arn: format!("arn:{}", config.name()),
            config: config.clone(),
            state: State::Ok,
            reason: String::new(),
            reason_data: None,
            state_since: None,
            evaluation_state: None,
        };
        (config.name().to_owned(), Seen::There { alarm: Arc::new(alarm), owner: Owner::Ours(tags) })
    });
    let (id, config) = desired.detector.clone().unwrap();
    let there = Some(Detector { id, config, training: Training::Trained });
    let observed = Observed {
        alarms: alarms.collect(),
        detector: DetectorSeen { there, ours: true, contested_by: None },
        mute: MuteSeen::There(desired.mute.clone().unwrap()),
        stale: Vec::new(),
    };
    let mut resources = desired.resources(true);
    for resource in &mut resources {
        resource.arn = Some(format!("arn:{}", resource.name));
    }
    let status = AnomalyAlarmStatus {
        resources,
        tag_keys: vec!["team".to_owned(), "old".to_owned()],
        ..AnomalyAlarmStatus::default()
    };
    (observed, status)
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn standing(status: &AnomalyAlarmStatus, has_finalizer: bool) -> Standing<'_> {
    Standing { status, has_finalizer, settled: false, now: NOW }
}

fn nothing() -> Observed {
    Observed {
        detector: DetectorSeen { ours: true, ..DetectorSeen::default() },
        mute: MuteSeen::Absent,
        ..Observed::default()
    }
}

fn kinds(plan: &Plan) -> Vec<String> {
    let kind = |action: &Action| match action {
        Action::AddFinalizer => "finalizer".to_owned(),
        Action::Record(_) => "record".to_owned(),
        Action::PutDetector(..) => "detector".to_owned(),
        Action::PutAlarm(config, _) => match **config {
            AlarmConfig::Metric(ref alarm) if alarm.name.ends_with("-network") => "network".to_owned(),
            AlarmConfig::Metric(_) => "metric".to_owned(),
            AlarmConfig::Composite(_) => "composite".to_owned(),
        },
        Action::PutMute(..) => "mute".to_owned(),
        Action::Tag(..) => "tag".to_owned(),
        Action::Untag(..) => "untag".to_owned(),
        Action::Delete(resource) => format!("delete {:?}", resource.kind),
    };
    plan.actions.iter().map(kind).collect()
}

#[test]
fn what_isnt_there_is_recorded_and_then_made_in_order() {
    let desired = desired();
    let plan =
        plan(Some(&desired), &nothing(), standing(&AnomalyAlarmStatus::default(), false), &Memory::default());
    assert_eq!(kinds(&plan), ["finalizer", "record", "detector", "metric", "network", "composite", "mute"]);
    assert!(plan.problem.is_none() && plan.drift.is_empty());
}

#[test]
fn nothing_is_done_about_what_is_in_place() {
    let desired = desired();
    let (observed, status) = in_place(&desired);
    let plan = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&plan), [""; 0]);
    assert!(plan.resources.iter().filter(|r| r.arn.is_some()).count() == 3, "{:?}", plan.resources);
}

#[test]
fn nothing_at_all_is_written_while_one_alarm_is_someone_elses() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let name = desired.metric.as_ref().unwrap().name.clone();
    if let Some(Seen::There { owner, .. }) = observed.alarms.get_mut(&name) {
        *owner = Owner::Other("it was made by someone else".to_owned());
    }
    observed.detector.there = None;
    let plan = plan(Some(&desired), &observed, standing(&status, false), &Memory::default());
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    assert_eq!(plan.problem.unwrap().reason, Reason::Shared(Shared::NotOurs));
}

#[test]
fn a_change_by_hand_is_put_back_and_told_and_a_change_of_the_spec_is_not_told() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let name = desired.metric.as_ref().unwrap().name.clone();
    let Some(Seen::There { alarm, .. }) = observed.alarms.get_mut(&name) else { panic!() };
    let mut changed = (**alarm).clone();
    if let AlarmConfig::Metric(config) = &mut changed.config {
        config.evaluation_periods = 9;
    }
    *alarm = Arc::new(changed);
    let repaired = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&repaired), ["metric"]);
    assert!(repaired.drift[0].contains("changed by hand"), "{:?}", repaired.drift);

    let Some(Seen::There { owner: Owner::Ours(tags), .. }) = observed.alarms.get_mut(&name) else { panic!() };
    tags.insert(SPEC_HASH.to_owned(), "of an older spec".to_owned());
    let updated = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&updated), ["metric", "tag"]);
    assert!(updated.drift.is_empty(), "{:?}", updated.drift);
}

#[test]
fn what_was_just_written_and_isnt_seen_yet_is_not_written_again() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let config = AlarmConfig::Metric(desired.metric.clone().unwrap());
    observed.alarms.insert(config.name().to_owned(), Seen::Absent);
    let mut memory = Memory::default();
    memory.written.wrote(config.name(), spec_hash(&config), NOW);
    let plan = plan(Some(&desired), &observed, standing(&status, true), &memory);
    assert!(plan.actions.is_empty() && plan.waiting.is_some(), "{plan:?}");
}

#[test]
fn only_tags_that_we_set_are_removed() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let name = desired.metric.as_ref().unwrap().name.clone();
    let Some(Seen::There { owner: Owner::Ours(tags), .. }) = observed.alarms.get_mut(&name) else { panic!() };
    tags.insert("old".to_owned(), "1".to_owned());
    tags.insert("someone-elses".to_owned(), "1".to_owned());
    tags.insert("team".to_owned(), "b".to_owned());
    let plan = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    let arn = format!("arn:{name}");
    let team = Tags::from([("team".to_owned(), "a".to_owned())]);
    assert_eq!(plan.actions, [Action::Tag(arn.clone(), team), Action::Untag(arn, vec!["old".to_owned()])]);
}

#[test]
fn everything_goes_in_reverse_and_the_detector_only_when_the_alarms_are_gone() {
    let desired = desired();
    let mut stale = desired.resources(true);
    stale.sort_by_key(|resource| std::cmp::Reverse(resource.kind));
    let observed = |alarms: Stale, detector: Stale| Observed {
        stale: stale
            .iter()
            .map(|resource| {
                let is_detector = resource.kind == ResourceKind::Detector;
                (resource.clone(), if is_detector { detector.clone() } else { alarms.clone() })
            })
            .collect(),
        ..Observed::default()
    };
    let (status, memory) = (AnomalyAlarmStatus::default(), Memory::default());
    let first = plan(None, &observed(Stale::Ours, Stale::InUse), standing(&status, true), &memory);
    assert_eq!(
        kinds(&first),
        ["delete MuteRule", "delete CompositeAlarm", "delete NetworkAlarm", "delete MetricAlarm"]
    );
    assert!(first.resources.len() == 1 && first.waiting.is_some(), "{first:?}");
    let second = plan(None, &observed(Stale::Absent, Stale::Ours), standing(&status, true), &memory);
    assert_eq!(kinds(&second), ["delete Detector"]);
    assert!(second.resources.is_empty() && second.waiting.is_none(), "{second:?}");
    let not_ours = Stale::NotOurs("it was made by someone else".to_owned());
    for (left, forgotten) in
        [(Stale::InUse, true), (Stale::Foreign, true), (not_ours, true), (Stale::Waiting, false)]
    {
        let plan = plan(None, &observed(Stale::Absent, left.clone()), standing(&status, true), &memory);
        assert!(plan.actions.is_empty(), "{left:?}");
        assert_eq!(plan.resources.is_empty(), forgotten, "{left:?}");
    }
}

#[test]
fn what_others_refer_to_waits_with_all_that_it_refers_to_itself() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let elsewhere = |resource: &Resource| Resource { region: "us-east-1".to_owned(), ..resource.clone() };
    let stale = |kind: ResourceKind, stale: Stale| {
        let resource = desired.resources(true).into_iter().find(|resource| resource.kind == kind).unwrap();
        (elsewhere(&resource), stale)
    };
    observed.stale = vec![
        stale(ResourceKind::MuteRule, Stale::Ours),
        stale(ResourceKind::CompositeAlarm, Stale::Combined("shop/all".to_owned())),
        stale(ResourceKind::NetworkAlarm, Stale::Ours),
        stale(ResourceKind::MetricAlarm, Stale::Ours),
    ];
    let moved = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&moved), ["delete MuteRule"]);
    let problem = moved.problem.unwrap();
    assert_eq!(problem.reason, Reason::Shared(Shared::InUse));
    assert!(problem.message.contains("AnomalyAlarm shop/all"), "{}", problem.message);
    let recorded: Vec<&str> = moved.resources.iter().map(|resource| resource.region.as_str()).collect();
    assert_eq!(recorded[..4], ["us-east-1", "us-east-1", "us-east-1", "eu-west-1"], "what goes comes first");
    // Its end waits whole: an alarm that is still there stays muted.
    let ending = plan(None, &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&ending), [""; 0]);

    // What AWS refused without our knowing who refers to it isn't tried again in the same pass.
    observed.stale[1].1 = Stale::Ours;
    let composite = observed.stale[1].0.clone();
    let mut memory = Memory::default();
    memory.in_use.insert((scope_of(&composite), composite.name), "AWS said no".to_owned());
    let refused = plan(None, &observed, standing(&status, true), &memory);
    assert_eq!(kinds(&refused), [""; 0]);
    assert!(refused.problem.unwrap().message.contains("AWS said no"));
}

#[test]
fn what_is_taken_over_is_ours_by_its_tags_before_anything_is_changed() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let name = desired.metric.as_ref().unwrap().name.clone();
    let Some(Seen::There { alarm, owner }) = observed.alarms.get_mut(&name) else { panic!() };
    *owner = Owner::Adoptable(Tags::new());
    let mut other = (**alarm).clone();
    if let AlarmConfig::Metric(config) = &mut other.config {
        config.evaluation_periods = 9;
    }
    *alarm = Arc::new(other);
    observed.detector.there.as_mut().unwrap().config.timezone = "Asia/Tokyo".to_owned();
    let mut rule = desired.mute.clone().unwrap();
    rule.duration = "PT1H".to_owned();
    observed.mute = MuteSeen::Adoptable(rule, "arn:mute".to_owned());
    let adopted = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert_eq!(kinds(&adopted), ["tag", "tag", "detector", "metric", "tag", "mute"]);
    let Action::Tag(_, first) = &adopted.actions[0] else { panic!() };
    assert_eq!(*first, desired.ownership, "the hash of what isn't written yet comes later");
}

#[test]
fn what_differs_though_the_spec_is_in_place_was_changed_by_hand() {
    let desired = desired();
    let (observed, status) = in_place(&desired);
    type Change = fn(&mut Observed, &str);
    let changes: [(Change, &str); 5] = [
        (|o, _| o.detector.there.as_mut().unwrap().config.timezone = "Asia/Tokyo".to_owned(), "changed"),
        (|o, _| o.detector.there = None, "deleted"),
        (|o, _| o.mute = MuteSeen::Absent, "deleted"),
        (
            |o, _| {
                let MuteSeen::There(rule) = &mut o.mute else { panic!() };
                rule.duration = "PT1H".to_owned();
            },
            "changed",
        ),
        (
            |o, name| {
                let Some(Seen::There { owner: Owner::Ours(tags), .. }) = o.alarms.get_mut(name) else {
                    panic!()
                };
                tags.remove("tidewatch.dev/owner-uid");
            },
            "changed",
        ),
    ];
    let name = desired.metric.as_ref().unwrap().name.clone();
    for (change, says) in changes {
        let mut changed = observed.clone();
        change(&mut changed, &name);
        for settled in [true, false] {
            let standing = Standing { settled, ..standing(&status, true) };
            let repaired = plan(Some(&desired), &changed, standing, &Memory::default());
            assert_eq!(repaired.actions.len(), 1, "{:?}", repaired.actions);
            let told = repaired.drift.iter().any(|told| told.contains(says));
            assert_eq!(told, settled, "{:?}", repaired.drift);
        }
    }
}

#[test]
fn a_detector_that_someone_else_made_is_used_as_it_is_and_never_changed() {
    let desired = desired();
    let (mut observed, status) = in_place(&desired);
    let there = observed.detector.there.as_mut().unwrap();
    there.config.timezone = "Asia/Tokyo".to_owned();
    observed.detector.ours = false;
    let used = plan(Some(&desired), &observed, standing(&status, true), &Memory::default());
    assert!(!kinds(&used).contains(&"detector".to_owned()) && used.problem.is_none(), "{used:?}");

    let mut wishing = desired.clone();
    wishing.detector.as_mut().unwrap().1.periodic_spikes = true;
    let refused = plan(Some(&wishing), &observed, standing(&status, true), &Memory::default());
    assert!(refused.actions.is_empty());
    assert_eq!(refused.problem.unwrap().reason, Reason::Shared(Shared::NotOurs));

    observed.detector =
        DetectorSeen { ours: true, contested_by: Some("shop/a".to_owned()), ..observed.detector };
    let contested = plan(Some(&wishing), &observed, standing(&status, true), &Memory::default());
    assert_eq!(contested.problem.unwrap().reason, Reason::TrainingConflict);
}
