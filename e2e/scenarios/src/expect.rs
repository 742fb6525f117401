//! Expected verdicts, and their comparison with monitors' statuses.

use std::fmt;

use tidewatch_crds::network_monitor::{
    AttributedTo, ComponentKind, FaultCause, FaultyComponent, NetworkHealthIndicator, NetworkMonitorStatus,
};

/// The verdict that a monitor is expected to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub indicator: NetworkHealthIndicator,
    /// The expected attribution and components; `None` where nothing is wrong.
    pub fault: Option<ExpectedFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFault {
    pub attribution: AttributedTo,
    pub components: Vec<ExpectedComponent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedComponent {
    pub kind: ComponentKind,
    pub name: String,
    /// The causes that are right.
    pub causes: Vec<FaultCause>,
}

impl Expected {
    pub fn healthy() -> Self {
        Self { indicator: NetworkHealthIndicator::Healthy, fault: None }
    }

    /// The network's fault.
    pub fn infrastructure(kind: ComponentKind, name: &str) -> Self {
        let component = ExpectedComponent::new(kind, name, &[FaultCause::PacketLoss]);
        Self::one(NetworkHealthIndicator::Degraded, AttributedTo::Infrastructure, component)
    }

    /// The same by one of these causes.
    #[must_use]
    pub fn by(mut self, causes: &[FaultCause]) -> Self {
        for component in self.fault.iter_mut().flat_map(|fault| &mut fault.components) {
            component.causes = causes.to_vec();
        }
        self
    }

    /// A service's own fault: the network is well.
    pub fn workload(service: &str, causes: &[FaultCause]) -> Self {
        let component = ExpectedComponent::new(ComponentKind::Service, service, causes);
        Self::one(NetworkHealthIndicator::Healthy, AttributedTo::Workload, component)
    }

    /// The fault of something outside the cluster: neither the cluster's network nor the workload.
    pub fn external(name: &str) -> Self {
        let component = ExpectedComponent::new(ComponentKind::AwsService, name, &[FaultCause::PacketLoss]);
        Self::one(NetworkHealthIndicator::Healthy, AttributedTo::External, component)
    }

    /// This and another fault at once, of another class.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if other.indicator == NetworkHealthIndicator::Degraded {
            self.indicator = other.indicator;
        }
        let components = [self.fault, other.fault].into_iter().flatten().flat_map(|fault| fault.components);
        self.fault =
            Some(ExpectedFault { attribution: AttributedTo::Mixed, components: components.collect() });
        self
    }

    fn one(
        indicator: NetworkHealthIndicator,
        attribution: AttributedTo,
        component: ExpectedComponent,
    ) -> Self {
        Self { indicator, fault: Some(ExpectedFault { attribution, components: vec![component] }) }
    }

    /// True if `status` gives this verdict. The expected components must come first.
    pub fn is_met_by(&self, status: &NetworkMonitorStatus) -> bool {
        status.network_health_indicator == Some(self.indicator)
            && match (&self.fault, &status.degradation) {
                (None, None) => true,
                (Some(expected), Some(degradation)) => {
                    let first = degradation.components.get(..expected.components.len()).unwrap_or_default();
                    let is_said =
                        |expected: &ExpectedComponent| first.iter().any(|component| expected.is(component));
                    degradation.attribution == expected.attribution
                        && !first.is_empty()
                        && expected.components.iter().all(is_said)
                }
                _ => false,
            }
    }
}

impl ExpectedComponent {
    fn new(kind: ComponentKind, name: &str, causes: &[FaultCause]) -> Self {
        Self { kind, name: name.to_owned(), causes: causes.to_vec() }
    }

    fn is(&self, component: &FaultyComponent) -> bool {
        component.kind == self.kind && component.name == self.name && self.causes.contains(&component.cause)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.indicator)?;
        let Some(fault) = &self.fault else { return Ok(()) };
        write!(f, ", {:?}", fault.attribution)?;
        for component in &fault.components {
            let causes: Vec<_> = component.causes.iter().map(|cause| format!("{cause:?}")).collect();
            write!(f, ", {:?} {} ({})", component.kind, component.name, causes.join(" or "))?;
        }
        Ok(())
    }
}

/// A status in the words of [`Expected`].
pub fn verdict_of(status: &NetworkMonitorStatus) -> String {
    let mut text = match status.network_health_indicator {
        Some(indicator) => format!("{indicator:?}"),
        None => "no indicator yet".to_owned(),
    };
    if let Some(degradation) = &status.degradation {
        text.push_str(&format!(", {:?}", degradation.attribution));
        for component in &degradation.components {
            text.push_str(&format!(", {:?} {} ({:?})", component.kind, component.name, component.cause));
        }
    }
    text
}

/// Somebody was blamed who isn't at fault. A busy machine is no excuse for that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FalseVerdict(pub String);

/// True if a status blames the network.
pub fn blames_the_network(status: &NetworkMonitorStatus) -> bool {
    status.network_health_indicator == Some(NetworkHealthIndicator::Degraded)
        || status.degradation.as_ref().is_some_and(|degradation| {
            matches!(degradation.attribution, AttributedTo::Infrastructure | AttributedTo::Mixed)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(
        indicator: &str,
        attribution: &str,
        kind: &str,
        name: &str,
        cause: &str,
    ) -> NetworkMonitorStatus {
        serde_json::from_value(json!({
            "networkHealthIndicator": indicator,
            "degradation": {
                "since": "2026-11-22T12:00:00Z", "attribution": attribution, "summary": "",
                "components": [{
                    "kind": kind, "name": name, "class": "Infrastructure", "cause": cause,
                    "since": "2026-11-22T12:00:00Z", "confidence": 1.0, "retransmissionRatio": 0.02,
                    "baselineRatio": 0.0, "affectedFlows": 1, "totalFlows": 1,
                }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_right_component_with_the_right_attribution_is_met() {
        let expected = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
        assert!(expected.is_met_by(&status(
            "Degraded",
            "Infrastructure",
            "ZonePair",
            "zone-1~zone-2",
            "PacketLoss"
        )));
        for wrong in [
            status("Healthy", "Infrastructure", "ZonePair", "zone-1~zone-2", "PacketLoss"),
            status("Degraded", "Mixed", "ZonePair", "zone-1~zone-2", "PacketLoss"),
            status("Degraded", "Infrastructure", "ZonePair", "zone-1~zone-3", "PacketLoss"),
            status("Degraded", "Infrastructure", "Node", "zone-1~zone-2", "PacketLoss"),
            status("Degraded", "Infrastructure", "ZonePair", "zone-1~zone-2", "Latency"),
        ] {
            assert!(!expected.is_met_by(&wrong), "{}", verdict_of(&wrong));
        }
    }

    #[test]
    fn two_faults_are_met_by_both_in_either_order() {
        let pair = Expected::infrastructure(ComponentKind::ZonePair, "zone-1~zone-2");
        let both = pair.and(Expected::workload("shop/orders", &[FaultCause::Refused]));
        let one = status("Degraded", "Mixed", "ZonePair", "zone-1~zone-2", "PacketLoss");
        let other = status("Degraded", "Mixed", "Service", "shop/orders", "Refused");
        let components = |status: &NetworkMonitorStatus| status.degradation.clone().unwrap().components;
        let with = |components| {
            let mut status = one.clone();
            status.degradation.as_mut().unwrap().components = components;
            status
        };
        assert!(both.is_met_by(&with([components(&one), components(&other)].concat())));
        assert!(both.is_met_by(&with([components(&other), components(&one)].concat())));
        assert!(!both.is_met_by(&one) && !both.is_met_by(&other));
        assert_eq!(
            both.to_string(),
            "Degraded, Mixed, ZonePair zone-1~zone-2 (PacketLoss), Service shop/orders (Refused)"
        );
    }

    #[test]
    fn healthy_means_nothing_is_wrong_at_all() {
        let workload = status("Healthy", "Workload", "Service", "shop/payments", "Unreachable");
        assert!(!Expected::healthy().is_met_by(&workload));
        assert!(Expected::workload("shop/payments", &[FaultCause::Unreachable]).is_met_by(&workload));
        assert!(!blames_the_network(&workload));
        let nothing = serde_json::from_value(json!({"networkHealthIndicator": "Healthy"})).unwrap();
        assert!(Expected::healthy().is_met_by(&nothing));
    }
}
