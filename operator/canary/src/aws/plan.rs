//! From what is there and what should be to what is to be done next. Pure.
//!
//! A canary has one state at a time, and each operation is legal in some states only: what AWS works on is waited for,
//! never fought. So there is at most one thing to do to a canary, and the next pass decides on the one after it. What is
//! made is recorded in the status before it is made, so that whatever crash leaves behind is known.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_aws::synthetics::types::{CanarySeen, CanaryState, Field};
use tidewatch_aws::types::Tags;
use tidewatch_crds::canary::{ADOPT_CANARY_ANNOTATION, AwsCanary, FormerCanary};
use tidewatch_kube::events::Happened;
use tidewatch_managed::Shared;
use tidewatch_managed::owner::{Retag, SPEC_HASH, Whose, changed_by_hand, retag};

use super::desired::Desired;
use super::memory::{Memory, RefusedUpdate};
use super::observe::{Observed, Seen};
use super::place::Place;
use super::reason::{Problem, Reason};

/// A creation that failed for a role that Lambda doesn't know yet is tried again after this, then ever later.
const ROLE_BASE: Duration = Duration::from_secs(10);
const ROLE_CAP: Duration = Duration::from_secs(600);
/// One that failed otherwise: somebody must mend something.
const CREATION_AGAIN: Duration = Duration::from_secs(3600);
/// An update that failed: each try restarts the schedule of a canary that runs.
const UPDATE_BASE: Duration = Duration::from_secs(60);
const UPDATE_CAP: Duration = Duration::from_secs(3600);

/// One thing to do. Each may be repeated without harm.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    AddFinalizer,
    /// Before anything of it is made.
    Record(Box<AwsCanary>),
    Create,
    Update(BTreeSet<Field>),
    Start,
    Stop(Place),
    Delete(Place),
    RemoveReplicas(Place, Vec<String>),
    Tag(String, Tags),
    Untag(String, Vec<String>),
    /// The log group of a function that is gone.
    DeleteLogs(Place, String),
}

/// What to do, and what stands when it is done.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub actions: Vec<Action>,
    /// What is recorded once all is done; none if nothing is left.
    pub aws: Option<AwsCanary>,
    /// What keeps the canary from being as declared.
    pub problem: Option<Problem>,
    /// AWS works on it, or something else must happen first.
    pub waiting: Option<String>,
    /// Hand-made changes that are undone, in words.
    pub drift: Vec<String>,
    /// What else is to be told once the actions are done.
    pub told: Vec<Happened>,
    /// What stays in AWS though it is recorded, in words.
    pub left: Vec<String>,
}

/// What is known of the object so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing<'a> {
    pub recorded: Option<&'a AwsCanary>,
    pub has_finalizer: bool,
    /// The status says that this generation of the spec is in place and runs.
    pub ran: bool,
    pub now: Timestamp,
}

/// What to do about one object.
pub(super) fn plan(
    desired: Option<&Desired>,
    observed: &Observed,
    standing: Standing<'_>,
    memory: &Memory,
) -> Plan {
    let recorded = standing.recorded;
    let mut plan = Plan::default();
    if let Some(desired) = desired {
        let mut aws = record(desired, observed, recorded);
        if let Seen::There { owner: Whose::Other(whose), .. } = &observed.current {
            aws.foreign = true;
            plan.problem = Some(Problem::new(
                Shared::NotOurs,
                format!(
                    "canary {name} exists in CloudWatch Synthetics, and {whose}; nothing was changed: to take it over write annotation {ADOPT_CANARY_ANNOTATION}: {name}",
                    name = desired.place.name
                ),
            ));
        }
        if plan.problem.is_none() && !standing.has_finalizer {
            plan.actions.push(Action::AddFinalizer);
        }
        let unrecorded = recorded.is_none_or(|recorded| !covers(recorded, &aws));
        if plan.problem.is_none() && unrecorded {
            // Whatever else is there goes on being known.
            plan.actions.push(Action::Record(Box::new(aws.clone())));
        }
        if plan.problem.is_none() {
            plan.keep(desired, &observed.current, standing, memory);
        }
        plan.aws = Some(aws);
    }
    plan.clear_away(observed, recorded, memory, standing.now);
    plan
}

/// What is known once `desired` is: its place, and those that it leaves.
fn record(desired: &Desired, observed: &Observed, recorded: Option<&AwsCanary>) -> AwsCanary {
    let place = &desired.place;
    let same = recorded.filter(|recorded| Place::of(recorded) == *place);
    let returned = recorded.into_iter().flat_map(|recorded| &recorded.leaving);
    let returned = returned.filter(|former| Place::of_former(former) == *place);
    let before = same.iter().flat_map(|recorded| &recorded.functions);
    let mut functions: Vec<String> =
        before.chain(returned.flat_map(|former| &former.functions)).cloned().collect();
    let there = observed.current.usable();
    let function = there.and_then(|there| there.function.clone());
    if let Some(function) = function.filter(|function| !functions.contains(function)) {
        functions.push(function);
    }
    AwsCanary {
        name: place.name.clone(),
        region: place.scope.region.clone(),
        role_arn: place.scope.role.clone(),
        foreign: false,
        id: there.and_then(|there| there.id.clone()),
        functions,
        leaving: observed.leaving.iter().map(|(former, seen)| with_function(former, seen)).collect(),
        ..same.cloned().unwrap_or_default()
    }
}

/// With the function that it has now, so that its log group is known when it is gone.
pub(super) fn with_function(former: &FormerCanary, seen: &Seen) -> FormerCanary {
    let mut former = former.clone();
    let function = seen.usable().and_then(|there| there.function.clone());
    if let Some(function) = function.filter(|function| !former.functions.contains(function)) {
        former.functions.push(function);
    }
    former
}

/// Whether all that must not be lost of `next` is in `recorded`.
fn covers(recorded: &AwsCanary, next: &AwsCanary) -> bool {
    Place::of(recorded) == Place::of(next)
        && recorded.functions == next.functions
        && next.leaving.iter().all(|former| recorded.leaving.contains(former))
}

impl Plan {
    fn keep(&mut self, desired: &Desired, seen: &Seen, standing: Standing<'_>, memory: &Memory) {
        let Seen::There { canary, owner } = seen else {
            if memory.just_began(&desired.place, "create", standing.now) {
                return self.wait("the canary was made and isn't seen yet");
            }
            let known = standing.recorded.filter(|recorded| Place::of(recorded) == desired.place);
            let was_made = known.is_some_and(|recorded| !recorded.functions.is_empty());
            if was_made && memory.creation.is_none() {
                self.drift
                    .push(format!("canary {} was deleted by hand, and is made again", desired.place.name));
            }
            return self.actions.push(Action::Create);
        };
        match &canary.state {
            CanaryState::Error if is_failed_creation(canary) => {
                self.failed_creation(desired, canary, memory, standing.now);
            }
            CanaryState::Error | CanaryState::Ready | CanaryState::Stopped | CanaryState::Running => {
                if *owner == Whose::Adoptable && self.take_over(desired, canary, memory, standing.now) {
                    return;
                }
                self.settle(desired, canary, standing, memory);
            }
            CanaryState::Creating
            | CanaryState::Starting
            | CanaryState::Updating
            | CanaryState::Stopping
            | CanaryState::Deleting
            | CanaryState::Other(_) => self.wait(&working(canary)),
        }
    }

    pub(super) fn wait(&mut self, why: &str) {
        self.waiting.get_or_insert_with(|| why.to_owned());
    }

    /// Marks what is taken over as ours before it is changed: whatever comes in between, it is known whose it is. Whether
    /// that comes first.
    fn take_over(&mut self, desired: &Desired, canary: &CanarySeen, memory: &Memory, now: Timestamp) -> bool {
        let Some(arn) = &canary.arn else { return false };
        let (due, unseen) = memory.written.due(arn, retag(&canary.tags, &desired.ownership, &[]), now);
        if unseen {
            self.wait("the tags of the canary were written and aren't seen yet");
        }
        self.actions.extend((!due.set.is_empty()).then(|| Action::Tag(arn.clone(), due.set)));
        true
    }

    /// What can be updated, started and stopped.
    fn settle(&mut self, desired: &Desired, canary: &CanarySeen, standing: Standing<'_>, memory: &Memory) {
        let now = standing.now;
        // To suspend comes first: an update would run the canary once more.
        if canary.state == CanaryState::Running && !desired.running {
            let stop = Action::Stop(desired.place.clone());
            return self.begin(&desired.place, "stop", stop, memory, now);
        }
        if canary.state == CanaryState::Error || canary.reason_code.as_deref() == Some("ROLLBACK_FAILED") {
            // Nobody knows what of it is as it reads.
            if standing.ran {
                self.drift.push(format!("canary {} is {}, and is written anew", canary.name, stands(canary)));
            }
            return self.update(desired, canary, Field::ALL.into_iter().collect(), memory, now);
        }
        let written =
            if rolled_back(canary) { BTreeSet::new() } else { memory.written_fields(desired.hash(), now) };
        let mut fields = desired.differing(canary, &written);
        if !fields.is_empty()
            && canary.tags.get(SPEC_HASH) == Some(&desired.stands_as)
            && !memory.just_began(&desired.place, "update", now)
        {
            self.drift.push(by_hand(canary, &fields));
        }
        let refused = memory.refused_update(desired.hash(), now);
        if let Some(refused) = refused {
            fields.retain(|field| !refused.fields.contains_key(field));
            if refused.is_apart {
                fields = fields.into_iter().take(1).collect();
            }
            self.problem = problem_of_refused(refused);
        }
        if !fields.is_empty() {
            return self.update(desired, canary, fields, memory, now);
        }
        self.retag(desired, canary, standing, memory);
        if desired.running && canary.state != CanaryState::Running {
            if canary.state == CanaryState::Stopped
                && standing.ran
                && !memory.just_began(&desired.place, "start", now)
            {
                self.drift.push(format!("canary {} was stopped by hand, and is started again", canary.name));
            }
            self.begin(&desired.place, "start", Action::Start, memory, now);
        }
    }

    fn retag(&mut self, desired: &Desired, canary: &CanarySeen, standing: Standing<'_>, memory: &Memory) {
        let Some(arn) = &canary.arn else { return };
        let set_before = standing.recorded.map(|recorded| recorded.tag_keys.as_slice()).unwrap_or_default();
        // The hashes say what was written: they stay as they are where something was refused.
        let retag = if self.problem.is_none() {
            retag(&canary.tags, &desired.tags, set_before)
        } else {
            Retag { remove: Vec::new(), ..retag(&canary.tags, &desired.tags_without_hashes(), set_before) }
        };
        let (due, unseen) = memory.written.due(arn, retag, standing.now);
        let by_hand = changed_by_hand(&due);
        if standing.ran && !by_hand.is_empty() {
            let tags = by_hand.join(", ");
            self.drift
                .push(format!("canary {} was changed by hand (tags {tags}), and is put back", canary.name));
        }
        self.tag(arn, due);
        if unseen {
            self.wait("the tags of the canary were written and aren't seen yet");
        }
    }

    fn tag(&mut self, arn: &str, Retag { set, remove }: Retag) {
        if !set.is_empty() {
            self.actions.push(Action::Tag(arn.to_owned(), set));
        }
        if !remove.is_empty() {
            self.actions.push(Action::Untag(arn.to_owned(), remove));
        }
    }

    /// Does `action`, unless it was done just now and isn't seen yet.
    pub(super) fn begin(
        &mut self,
        place: &Place,
        operation: &str,
        action: Action,
        memory: &Memory,
        now: Timestamp,
    ) {
        if memory.just_began(place, operation, now) {
            self.wait(&format!("AWS was asked to {operation} the canary, which isn't seen yet"));
        } else {
            self.actions.push(action);
        }
    }

    fn update(
        &mut self,
        desired: &Desired,
        canary: &CanarySeen,
        fields: BTreeSet<Field>,
        memory: &Memory,
        now: Timestamp,
    ) {
        let tried = memory.update.as_ref().filter(|update| update.tried.hash == desired.hash());
        if let Some(update) = tried
            && (rolled_back(canary) || canary.state == CanaryState::Error)
            && update.has_ended(now)
        {
            let why = canary.reason.as_deref().unwrap_or("AWS gave no reason");
            self.problem = Some(Problem::new(
                Reason::UpdateFailed,
                format!(
                    "AWS couldn't update the canary, and it goes on as it was ({}): {why}",
                    canary.reason_code.as_deref().unwrap_or(canary.state.as_str())
                ),
            ));
            if update.tried.is_due(UPDATE_BASE, UPDATE_CAP, now) {
                self.actions.push(Action::Update(fields));
            }
            return;
        }
        self.begin(&desired.place, "update", Action::Update(fields), memory, now);
    }

    /// What was never made: only another one can be made of it.
    fn failed_creation(&mut self, desired: &Desired, canary: &CanarySeen, memory: &Memory, now: Timestamp) {
        let why = canary.reason.as_deref().unwrap_or("AWS gave no reason");
        let other = canary.tags.get(SPEC_HASH).map(String::as_str) != Some(desired.hash());
        let role = why.contains("cannot be assumed by Lambda");
        let due = match &memory.creation {
            None => role,
            Some(tried) if role => tried.is_due(ROLE_BASE, ROLE_CAP, now),
            Some(tried) => tried.is_due(CREATION_AGAIN, CREATION_AGAIN, now),
        };
        let (reason, words) = if role {
            (
                Reason::RoleNotAssumable,
                "a role that was just made takes Lambda a while to see; its trust policy must name lambda.amazonaws.com (docs/iam.md)",
            )
        } else {
            (
                Reason::CreationFailed,
                "once it is mended, any change of the spec tries again at once, and time does each hour",
            )
        };
        self.problem = Some(Problem::new(reason, format!("AWS couldn't make the canary: {why}; {words}")));
        if due || other {
            let delete = Action::Delete(desired.place.clone());
            if !memory.just_began(&desired.place, "delete", now) {
                self.told.push(Happened {
                    reason: "MadeAgain",
                    is_warning: false,
                    note: format!(
                        "canary {} is deleted and made again, because it is in state {}",
                        canary.name,
                        stands(canary)
                    ),
                    action: "Reconcile",
                });
            }
            self.begin(&desired.place, "delete", delete, memory, now);
        }
    }
}

fn by_hand(canary: &CanarySeen, fields: &BTreeSet<Field>) -> String {
    let names: BTreeSet<&str> = fields.iter().map(|field| field.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    format!("canary {} was changed by hand ({}), and is put back", canary.name, names.join(", "))
}

pub(super) fn working(canary: &CanarySeen) -> String {
    format!("canary {} is {}", canary.name, stands(canary))
}

/// Its state, and why.
fn stands(canary: &CanarySeen) -> String {
    let why = canary.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{why}", canary.state.as_str())
}

/// What AWS refused field by field, once it did.
fn problem_of_refused(refused: &RefusedUpdate) -> Option<Problem> {
    let said: Vec<String> =
        refused.fields.iter().map(|(field, said)| format!("the {}: {said}", field.as_str())).collect();
    (!said.is_empty()).then(|| {
        Problem::new(
            Shared::Rejected,
            format!(
                "AWS refuses to change {}; the rest of the canary is kept as declared",
                said.join("; and ")
            ),
        )
    })
}

/// A canary that has no function was never made, whatever the code says.
pub(super) fn is_failed_creation(canary: &CanarySeen) -> bool {
    canary.reason_code.as_deref() == Some("CREATE_FAILED") || canary.function.is_none()
}

/// An update that failed leaves the canary in the state that it was in: only the code tells.
fn rolled_back(canary: &CanarySeen) -> bool {
    matches!(canary.reason_code.as_deref(), Some("ROLLBACK_COMPLETE" | "ROLLBACK_FAILED"))
}
