//! What happens by itself as time passes and states change: training, evaluation, composites that follow.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Alarm, AlarmState, Region, Rule};

/// Composites upon composites; AWS states no limit, and nobody stacks that many.
const LONGEST_CHAIN: usize = 100;

/// With more changes than this it is cheaper to look at every rule.
const MANY: usize = 32;

impl Region {
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.run_canaries();
        self.forget_old_history();
        self.train();
        self.evaluate();
        self.settle();
    }

    /// Composite alarms follow the alarms that changed, until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        // A chain of composites moves one link a round; a cycle would never end, and AWS stops evaluating it too.
        for _ in 0..LONGEST_CHAIN {
            let changed = std::mem::take(&mut self.changed);
            if changed.is_empty() {
                return;
            }
            let concerned = |alarm: &&Alarm| concerns(alarm, &changed) && self.may_follow(alarm, &changed);
            let moves: Vec<_> =
                self.alarms.values().filter(concerned).filter_map(|it| self.follows(it)).collect();
            for (name, state, reason, data) in moves {
                self.transition(&name, state, &reason, Some(data));
            }
        }
        // A circle stays as it is until one of its rules changes.
        self.changed.clear();
    }

    /// After changes by hand, which nobody recorded.
    pub(crate) fn settle_all(&mut self) {
        let composites = self.alarms.values().filter(|alarm| alarm.composite().is_some());
        self.changed.extend(composites.map(|alarm| alarm.name().to_owned()).collect::<Vec<_>>());
        self.settle();
    }

    /// A state that was set by hand stays, and one that was set through the API until a child changes.
    fn may_follow(&self, alarm: &Alarm, changed: &BTreeSet<String>) -> bool {
        let child_changed = || {
            let children = self.children(alarm.name());
            children.iter().any(|child| child != alarm.name() && changed.contains(child))
        };
        !alarm.held && (alarm.evaluate_at <= self.now || child_changed())
    }

    /// The state that a composite alarm has to change to.
    fn follows(&self, alarm: &Alarm) -> Option<(String, AlarmState, String, String)> {
        let rule = Rule::parse(&alarm.composite()?.alarm_rule).ok()?;
        let child = |reference: &str| self.alarms.get(self.alarm_name(reference)?);
        let holds = rule.holds(&|reference| child(reference).map(|alarm| alarm.state));
        let state = if holds { AlarmState::Alarm } else { AlarmState::Ok };
        if state == alarm.state {
            return None;
        }
        let children: BTreeMap<&str, &Alarm> =
            rule.alarms().into_iter().filter_map(|name| Some((name, child(name)?))).collect();
        let triggering: Vec<_> = children
            .values()
            .map(|alarm| {
                let state = json!({"value": alarm.state, "timestamp": alarm.transitioned_at});
                json!({"arn": alarm.arn, "state": state})
            })
            .collect();
        let latest = children.values().max_by_key(|alarm| alarm.transitioned_at);
        let reason = latest.map_or_else(
            || format!("alarm rule evaluates to {holds}"),
            |latest| {
                let state = latest.state.as_str();
                format!("{} transitioned to {state} at {}", latest.arn, latest.transitioned_at)
            },
        );
        let data = json!({"triggeringAlarms": triggering}).to_string();
        Some((alarm.name().to_owned(), state, reason, data))
    }

    /// Why a composite alarm's actions aren't run: `Alarm`, `WaitPeriod` or `ExtensionPeriod`, with a sentence.
    pub(crate) fn suppression(&self, alarm: &Alarm) -> Option<(&'static str, String)> {
        let composite = alarm.composite()?;
        let suppressor = self.alarms.get(self.alarm_name(composite.actions_suppressor.as_deref()?)?)?;
        let within = |seconds: Option<i64>, since: Timestamp| {
            self.now.duration_since(since) < SignedDuration::from_secs(seconds.unwrap_or_default())
        };
        if suppressor.state == AlarmState::Alarm {
            return Some(("Alarm", format!("Actions suppressed by {}", suppressor.arn)));
        }
        let extension = composite.actions_suppressor_extension_period;
        if suppressor.left_alarm_at.is_some_and(|left| within(extension, left)) {
            return Some((
                "ExtensionPeriod",
                format!("Actions suppressed after {} left ALARM", suppressor.arn),
            ));
        }
        if within(composite.actions_suppressor_wait_period, alarm.transitioned_at) {
            return Some(("WaitPeriod", format!("Actions wait for {}", suppressor.arn)));
        }
        None
    }
}

impl Region {
    /// The composite alarms whose rule names this alarm, or whose actions it suppresses.
    pub(crate) fn parents(&self, name: &str) -> Vec<&str> {
        let names = |alarm: &&Alarm| {
            let Some(composite) = alarm.composite() else { return false };
            let is = |reference: &str| self.alarm_name(reference) == Some(name);
            let in_rule =
                Rule::parse(&composite.alarm_rule).is_ok_and(|rule| rule.alarms().into_iter().any(is));
            in_rule || composite.actions_suppressor.as_deref().is_some_and(is)
        };
        self.alarms.values().filter(names).map(Alarm::name).collect()
    }

    /// The alarms that a composite alarm's rule names.
    pub(crate) fn children(&self, name: &str) -> Vec<String> {
        let rule =
            self.alarms.get(name).and_then(Alarm::composite).and_then(|it| Rule::parse(&it.alarm_rule).ok());
        let named = rule.iter().flat_map(Rule::alarms);
        named.filter_map(|reference| self.alarm_name(reference)).map(str::to_owned).collect()
    }
}

/// Whether a composite may have to follow one of the alarms that changed.
fn concerns(alarm: &Alarm, changed: &BTreeSet<String>) -> bool {
    let Some(composite) = alarm.composite() else { return false };
    changed.len() > MANY
        || changed.contains(alarm.name())
        || changed.iter().any(|name| mentions(&composite.alarm_rule, name))
}

/// Whether a rule's text may name an alarm: parsing thousands of rules to find one is slow.
fn mentions(rule: &str, name: &str) -> bool {
    rule.contains(name) || name.contains(['"', '\\'])
}
