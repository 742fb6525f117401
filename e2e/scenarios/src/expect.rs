//! What a monitor should say, compared with what it says.

use std::fmt;

use tidewatch_crds::network_monitor::{
    AttributedTo, ComponentKind, FaultCause, FaultyComponent, NetworkHealthIndicator, NetworkMonitorStatus,
};

/// What a monitor should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub indicator: NetworkHealthIndicator,
    /// Whose fault, and of which component; `None` where nothing is wrong.
    pub fault: Option<ExpectedFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFault {
    pub attribution: AttributedTo,
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
        let causes = vec![FaultCause::PacketLoss];
        let fault =
            ExpectedFault { attribution: AttributedTo::Infrastructure, kind, name: name.to_owned(), causes };
        Self { indicator: NetworkHealthIndicator::Degraded, fault: Some(fault) }
    }

    /// A service's own fault: the network is well.
    pub fn workload(service: &str, causes: &[FaultCause]) -> Self {
        let fault = ExpectedFault {
            attribution: AttributedTo::Workload,
            kind: ComponentKind::Service,
            name: service.to_owned(),
            causes: causes.to_vec(),
        };
        Self { indicator: NetworkHealthIndicator::Healthy, fault: Some(fault) }
    }

    /// The fault of something outside the cluster: neither the cluster's network nor the workload.
    pub fn external(name: &str) -> Self {
        let fault = ExpectedFault {
            attribution: AttributedTo::External,
            kind: ComponentKind::AwsService,
            name: name.to_owned(),
            causes: vec![FaultCause::PacketLoss],
        };
        Self { indicator: NetworkHealthIndicator::Healthy, fault: Some(fault) }
    }

    /// Whether `status` says this.
    pub fn is_met_by(&self, status: &NetworkMonitorStatus) -> bool {
        status.network_health_indicator == Some(self.indicator)
            && match (&self.fault, &status.degradation) {
                (None, None) => true,
                (Some(expected), Some(degradation)) => {
                    degradation.attribution == expected.attribution
                        && degradation.components.first().is_some_and(|component| expected.is(component))
                }
                _ => false,
            }
    }
}

impl ExpectedFault {
    fn is(&self, component: &FaultyComponent) -> bool {
        component.kind == self.kind && component.name == self.name && self.causes.contains(&component.cause)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.indicator)?;
        match &self.fault {
            None => Ok(()),
            Some(fault) => {
                let causes: Vec<_> = fault.causes.iter().map(|cause| format!("{cause:?}")).collect();
                write!(
                    f,
                    ", {:?}, {:?} {} ({})",
                    fault.attribution,
                    fault.kind,
                    fault.name,
                    causes.join(" or ")
                )
            }
        }
    }
}

/// What a status says, in the words of [`Expected`].
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

/// Whether a status blames the network.
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
    fn healthy_means_nothing_is_wrong_at_all() {
        let workload = status("Healthy", "Workload", "Service", "shop/payments", "Unreachable");
        assert!(!Expected::healthy().is_met_by(&workload));
        assert!(Expected::workload("shop/payments", &[FaultCause::Unreachable]).is_met_by(&workload));
        assert!(!blames_the_network(&workload));
        let nothing = serde_json::from_value(json!({"networkHealthIndicator": "Healthy"})).unwrap();
        assert!(Expected::healthy().is_met_by(&nothing));
    }
}
