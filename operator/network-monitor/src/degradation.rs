//! What is wrong and whose fault it is, carried on from the status that stands.
//!
//! Each class of components has a hysteresis of its own, so that what comes and goes is shown as one fault. A fault of
//! another component than the last one of its class is a fault of its own, however soon it comes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tidewatch_crds::NetworkMonitorStatus;
use tidewatch_crds::network_monitor::{
    AttributedTo, ComponentKind, Degradation, FaultClass, FaultyComponent,
};
use tidewatch_health::{Attribution, Class};

use super::components::{faulty_component, same_component};
use super::hints::{Onsets, strong};
use super::hysteresis::Presence;
use super::observe::WindowView;

/// The order in which components are listed.
const CLASSES: [FaultClass; 3] = [FaultClass::Infrastructure, FaultClass::External, FaultClass::Workload];

/// What is remembered of faults between windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Faults {
    infrastructure: Presence,
    external: Presence,
    workload: Presence,
    /// The components that were shown last, of each class that was shown.
    last: Vec<(FaultClass, ComponentKind, String)>,
    onsets: Onsets,
}

impl Faults {
    fn presence(&mut self, class: FaultClass) -> &mut Presence {
        match class {
            FaultClass::Infrastructure => &mut self.infrastructure,
            FaultClass::External => &mut self.external,
            FaultClass::Workload => &mut self.workload,
        }
    }

    /// Nothing is known for now.
    pub(super) fn interrupted(&mut self) {
        CLASSES.into_iter().for_each(|class| self.presence(class).interrupted());
    }

    /// What the window's verdict finds wrong, given the status that stands.
    pub(super) fn degradation(
        &mut self,
        previous: &NetworkMonitorStatus,
        view: &WindowView,
    ) -> Option<Degradation> {
        self.onsets.keep_only(&view.verdict.components);
        let before = previous.degradation.as_ref();
        let standing = before.map_or(&[][..], |before| &before.components);
        let found = self.found(standing, view);
        let mut components = Vec::new();
        let mut held = Vec::new();
        for class in CLASSES {
            let of_class = |list: &[FaultyComponent]| -> Vec<FaultyComponent> {
                list.iter().filter(|component| component.class == class).cloned().collect()
            };
            let (is, was) = (of_class(&found), of_class(standing));
            if was.is_empty() && !is.is_empty() && !self.is_return(&is) {
                *self.presence(class) = Presence::default();
            }
            let shown =
                self.presence(class).show(!is.is_empty(), !was.is_empty(), Duration::ZERO, view.start);
            if !is.is_empty() {
                components.extend(is);
            } else if shown {
                held.extend(was.iter().map(|component| component.name.clone()));
                components.extend(was);
            }
        }
        self.remember(&components);
        let first = components.iter().map(|component| component.since).min()?;
        let attribution = attribution(view.verdict.attribution, before, &components);
        let summary = match before {
            Some(before) if found.is_empty() => before.summary.clone(),
            _ => self.summary(&view.verdict.reason, &found, &held),
        };
        Some(Degradation {
            // An ongoing degradation began when it began, also across a restart of the operator.
            since: before.map_or(first, |before| before.since.min(first)),
            attribution,
            summary,
            components,
        })
    }

    /// Whether any of `components` was among the last ones shown of its class.
    fn is_return(&self, components: &[FaultyComponent]) -> bool {
        components.iter().any(|component| {
            self.last.iter().any(|(_, kind, name)| *kind == component.kind && *name == component.name)
        })
    }

    /// Remembers what is shown; of a class of which nothing is shown any more, what was shown last.
    fn remember(&mut self, components: &[FaultyComponent]) {
        self.last.retain(|(class, ..)| components.iter().all(|component| component.class != *class));
        self.last.extend(
            components.iter().map(|component| (component.class, component.kind, component.name.clone())),
        );
    }

    /// The verdict's components, with what is known of them from before.
    fn found(&mut self, standing: &[FaultyComponent], view: &WindowView) -> Vec<FaultyComponent> {
        let verdict = &view.verdict;
        let mut found = Vec::with_capacity(verdict.components.len());
        for fault in &verdict.components {
            let mut component = faulty_component(fault);
            let same = standing.iter().find(|standing| same_component(standing, &fault.component));
            if let Some(same) = same {
                component.since = component.since.min(same.since);
            }
            if fault.class == Class::Workload {
                let changes = view.hints.get(&fault.component).map_or(&[][..], Vec::as_slice);
                let has = same.filter(|same| same.cause == component.cause).map(|same| same.hints.as_slice());
                let window = (view.start, verdict.window_seconds);
                component.hints = self.onsets.settle(&fault.component, has, changes, window);
            }
            found.push(component);
        }
        found
    }

    /// The verdict in a sentence, with what changed just before where that may well be why, and with what comes and goes.
    fn summary(&mut self, reason: &str, found: &[FaultyComponent], held: &[String]) -> String {
        let explained = found.iter().find_map(|component| Some((component, strong(component)?)));
        let mut summary = match explained {
            None => reason.to_owned(),
            Some((_, hint)) if found.len() == 1 => format!("{reason}; {}", hint.message),
            Some((component, hint)) => format!("{reason}; {}: {}", component.name, hint.message),
        };
        let classes: BTreeSet<usize> = found.iter().map(|component| rank(component.class)).collect();
        let returned = CLASSES
            .iter()
            .any(|class| classes.contains(&rank(*class)) && self.presence(*class).comes_and_goes());
        if returned {
            summary.push_str("; it comes and goes");
        }
        if !held.is_empty() {
            summary.push_str(&format!("; besides, a fault at {} comes and goes", held.join(", ")));
        }
        summary
    }
}

fn rank(class: FaultClass) -> usize {
    CLASSES.iter().position(|listed| *listed == class).unwrap_or(CLASSES.len())
}

fn attribution(
    verdict: Attribution,
    before: Option<&Degradation>,
    components: &[FaultyComponent],
) -> AttributedTo {
    let has = |class| components.iter().any(|component| component.class == class);
    let of_components =
        match (has(FaultClass::Infrastructure), has(FaultClass::External), has(FaultClass::Workload)) {
            (true, false, false) => AttributedTo::Infrastructure,
            (false, true, false) => AttributedTo::External,
            (false, false, true) => AttributedTo::Workload,
            _ => AttributedTo::Mixed,
        };
    if verdict != Attribution::Undetermined {
        return of_components;
    }
    // What was told apart before isn't taken back because one window can't.
    match before.map(|before| before.attribution) {
        Some(AttributedTo::Infrastructure) if has(FaultClass::Infrastructure) => AttributedTo::Infrastructure,
        Some(AttributedTo::External) if has(FaultClass::External) => AttributedTo::External,
        Some(AttributedTo::Workload) if has(FaultClass::Workload) => AttributedTo::Workload,
        Some(AttributedTo::Mixed) if of_components == AttributedTo::Mixed => AttributedTo::Mixed,
        _ => AttributedTo::Undetermined,
    }
}

/// Whether the infrastructure is at fault.
pub(super) fn is_infrastructure(degradation: Option<&Degradation>) -> bool {
    degradation
        .is_some_and(|d| d.components.iter().any(|component| component.class == FaultClass::Infrastructure))
}

/// The start of the whole second that `time` is in: a status has whole seconds.
pub(super) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
