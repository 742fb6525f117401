//! What is wrong and whose fault it is, carried on from the status that stands.

use tidewatch_crds::NetworkMonitorStatus;
use tidewatch_crds::network_monitor::{AttributedTo, Degradation, FaultyComponent};
use tidewatch_health::{Attribution, Class, HealthIndicator};

use super::components::{faulty_component, same_component};
use super::hints::{Onsets, strong};
use super::observe::WindowView;

/// What the window's verdict finds wrong, given the status that stands.
pub(super) fn degradation(
    previous: &NetworkMonitorStatus,
    view: &WindowView,
    onsets: &mut Onsets,
) -> Option<Degradation> {
    let verdict = &view.verdict;
    onsets.keep_only(&verdict.components);
    if verdict.components.is_empty() && verdict.nhi != HealthIndicator::Degraded {
        return None;
    }
    let before = previous.degradation.as_ref();
    let components: Vec<_> = verdict
        .components
        .iter()
        .map(|fault| {
            let mut component = faulty_component(fault);
            let same = before.and_then(|d| d.components.iter().find(|c| same_component(c, &fault.component)));
            if let Some(same) = same {
                component.since = component.since.min(same.since);
            }
            if fault.class == Class::Workload {
                let found = view.hints.get(&fault.component).map_or(&[][..], Vec::as_slice);
                let has = same.filter(|same| same.cause == component.cause).map(|same| same.hints.as_slice());
                let window = (view.start, verdict.window_seconds);
                component.hints = onsets.settle(&fault.component, has, found, window);
            }
            component
        })
        .collect();
    let first = components.iter().map(|c| c.since).min().unwrap_or(verdict.window_start);
    Some(Degradation {
        // An ongoing degradation began when it began, also across a restart of the operator.
        since: before.map_or(first, |before| before.since.min(first)),
        attribution: match verdict.attribution {
            Attribution::Infrastructure => AttributedTo::Infrastructure,
            Attribution::Workload => AttributedTo::Workload,
            Attribution::Mixed => AttributedTo::Mixed,
            Attribution::External => AttributedTo::External,
            Attribution::None | Attribution::Undetermined => AttributedTo::Undetermined,
        },
        summary: summary(&verdict.reason, &components),
        components,
    })
}

/// The verdict in a sentence, with what changed just before where that may well be why.
fn summary(reason: &str, components: &[FaultyComponent]) -> String {
    let explained = components.iter().find_map(|component| Some((component, strong(component)?)));
    match explained {
        None => reason.to_owned(),
        Some((_, hint)) if components.len() == 1 => format!("{reason}; {}", hint.message),
        Some((component, hint)) => format!("{reason}; {}: {}", component.name, hint.message),
    }
}
