//! Builders for tests: a flow from shop/checkout to shop/payments across two zones.

use jiff::Timestamp;
use tidewatch_health::{
    Attribution, Cause, ComponentFault, ComponentId, Coverage, Evidence, HealthIndicator, Showing, Traffic,
    Verdict,
};
use tidewatch_records::{Category, Connections, Endpoint, EndpointKind, FlowWindow, Latency, Role};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) struct FlowBuilder(FlowWindow);

pub(super) fn flow() -> FlowBuilder {
    let mut local = Endpoint::of("198.18.1.10".parse().unwrap());
    local.pod = Some("shop/checkout-1".into());
    local.service = Some("shop/checkout".into());
    local.node = Some("zone-1-a".into());
    local.zone = Some("zone-1".into());
    local.kind = Some(EndpointKind::Pod);
    let mut remote = Endpoint::of("198.18.3.20".parse().unwrap());
    remote.port = Some(8080);
    remote.pod = Some("shop/payments-1".into());
    remote.service = Some("shop/payments".into());
    remote.node = Some("zone-2-a".into());
    remote.zone = Some("zone-2".into());
    remote.kind = Some(EndpointKind::Pod);
    FlowBuilder(FlowWindow {
        window_start: at(0),
        window_seconds: 30,
        reporter: "zone-1-a".into(),
        role: Role::Client,
        local,
        remote,
        category: Some(Category::InterAz),
        connections: Connections::default(),
        data_segments_out: 100,
        retransmissions: 0,
        spurious_retransmissions: 0,
        syn_retransmissions: 0,
        timeouts: 0,
        bytes_out: 1000,
        bytes_in: 500,
        rtt_us: None,
        handshake_us: None,
    })
}

impl FlowBuilder {
    pub(super) fn build(self) -> FlowWindow {
        self.0
    }
    pub(super) fn category(mut self, category: Category) -> Self {
        self.0.category = Some(category);
        self
    }
    pub(super) fn rtt(mut self, us: u64) -> Self {
        self.0.rtt_us = Some(Latency {
            count: 50,
            min: Some(us),
            p50: us,
            p90: Some(us),
            p99: us,
            max: Some(us),
            buckets: vec![],
        });
        self
    }
    pub(super) fn local(mut self, change: impl FnOnce(&mut Endpoint)) -> Self {
        change(&mut self.0.local);
        self
    }
    pub(super) fn remote(mut self, change: impl FnOnce(&mut Endpoint)) -> Self {
        change(&mut self.0.remote);
        self
    }
    pub(super) fn remote_ip(self, ip: &str) -> Self {
        let ip = ip.parse().unwrap();
        self.remote(|remote| remote.ip = ip)
    }
    pub(super) fn retransmissions(mut self, of_hundred: u64) -> Self {
        self.0.retransmissions = of_hundred;
        self
    }
}

pub(super) fn healthy(start: Timestamp) -> Verdict {
    Verdict {
        window_start: start,
        window_seconds: 60,
        nhi: HealthIndicator::Healthy,
        attribution: Attribution::None,
        components: vec![],
        shortages: vec![],
        coverage: Coverage { records: 1, flows: 1 },
        traffic: Traffic::default(),
        reason: "healthy".to_owned(),
    }
}

pub(super) fn fault(component: ComponentId, cause: Cause, since: Timestamp) -> ComponentFault {
    ComponentFault {
        class: component.class(),
        component,
        cause,
        since,
        confidence: 0.981_3,
        showing: Showing::Now,
        evidence: Evidence {
            retransmission_ratio: 0.021_3,
            baseline_ratio: 0.000_4,
            flows: 312,
            flows_affected: 188,
            services_affected: 9,
            ..Evidence::default()
        },
    }
}

pub(super) fn zone_pair_down(start: Timestamp) -> Verdict {
    Verdict {
        nhi: HealthIndicator::Degraded,
        attribution: Attribution::Infrastructure,
        components: vec![fault(ComponentId::zone_pair("zone-1", "zone-2"), Cause::PacketLoss, start)],
        reason: "packet loss between zone-1 and zone-2: 2.13% of segments retransmitted".to_owned(),
        ..healthy(start)
    }
}

pub(super) fn payments_blocked(start: Timestamp) -> Verdict {
    let component = ComponentId::Service { namespace: "shop".to_owned(), name: "payments".to_owned() };
    Verdict {
        attribution: Attribution::Workload,
        components: vec![fault(component, Cause::Unreachable, start)],
        reason: "service shop/payments doesn't answer".to_owned(),
        ..healthy(start)
    }
}
