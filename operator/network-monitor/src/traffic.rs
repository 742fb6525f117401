//! The numbers of one window's selected flows: summed by category, with the round-trip times merged.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use tidewatch_crds::network_monitor::{self as api, Traffic};
use tidewatch_records::{Category, FlowWindow, Histogram, Role};

/// What a set of flows did.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Totals {
    pub rtt_us: Histogram,
    pub segments: u64,
    pub retransmissions: u64,
    /// Of `retransmissions`, those of data: a SYN sent again is no share of the data segments.
    pub data_retransmissions: u64,
    pub timeouts: u64,
    pub bytes: u64,
    pub flows: u64,
}

impl Totals {
    /// Retransmitted / sent segments; none where nothing was sent.
    pub(super) fn retransmission_ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 53 bits")]
        let ratio = self.data_retransmissions as f64 / self.segments as f64;
        (self.segments > 0).then_some(ratio)
    }

    fn add(&mut self, flow: &FlowWindow) {
        if let Some(rtt) = &flow.rtt_us {
            self.rtt_us.merge_latency(rtt);
        }
        self.bytes = self.bytes.saturating_add(flow.bytes_out).saturating_add(flow.bytes_in);
        self.add_sent(flow);
    }

    /// What the reporting end sent.
    fn add_sent(&mut self, flow: &FlowWindow) {
        self.segments = self.segments.saturating_add(flow.data_segments_out);
        self.retransmissions = self.retransmissions.saturating_add(flow.retransmissions);
        // The kernel counts SYNs and data in one; a flow can't have sent more data again than it sent. What the other end
        // had received already wasn't lost: a busy end acknowledges late.
        let of_data = flow
            .retransmissions
            .saturating_sub(flow.spurious_retransmissions)
            .saturating_sub(
                flow.syn_retransmissions
                    .max(flow.connections.timed_out.saturating_add(flow.connections.waiting)),
            )
            .min(flow.data_segments_out);
        self.data_retransmissions = self.data_retransmissions.saturating_add(of_data);
        self.timeouts = self.timeouts.saturating_add(flow.timeouts);
    }
}

/// One window's selected flows, by category and in all.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TrafficTotals {
    pub by_category: BTreeMap<api::Category, Totals>,
    pub all: Totals,
}

type FlowKey = (IpAddr, Option<u16>, IpAddr, Option<u16>, Role);

impl TrafficTotals {
    /// Of the monitor's flows as the local ends report them, and as the `far` ends do: what those sent again is lost on the
    /// same way, and for a download it is nearly all there is to lose.
    pub(super) fn of<'a>(
        flows: impl Iterator<Item = &'a FlowWindow>,
        far: impl Iterator<Item = &'a FlowWindow>,
    ) -> Self {
        let mut totals = Self::default();
        // An evaluation window holds several agent windows, and so the same flow several times.
        let mut counted: HashSet<FlowKey> = HashSet::new();
        for flow in flows {
            let entry = totals.by_category.entry(category(flow.category)).or_default();
            entry.add(flow);
            totals.all.add(flow);
            let (local, remote) = (&flow.local, &flow.remote);
            if counted.insert((local.ip, local.port, remote.ip, remote.port, flow.role)) {
                entry.flows += 1;
                totals.all.flows += 1;
            }
        }
        for flow in far {
            if let Some(entry) = totals.by_category.get_mut(&category(flow.category)) {
                entry.add_sent(flow);
            }
            totals.all.add_sent(flow);
        }
        totals
    }

    /// As the status shows it: rounded.
    pub(super) fn rounded(&self) -> Vec<Traffic> {
        self.by_category
            .iter()
            .map(|(category, totals)| Traffic {
                category: *category,
                rtt_p50: totals.rtt_us.quantile(0.5).map(rtt_text),
                rtt_p99: totals.rtt_us.quantile(0.99).map(rtt_text),
                retransmissions: two_digits(totals.retransmissions),
                timeouts: two_digits(totals.timeouts),
                bytes: two_digits(totals.bytes),
                flows: two_digits(totals.flows),
            })
            .collect()
    }
}

fn category(category: Option<Category>) -> api::Category {
    match category {
        Some(Category::IntraNode) => api::Category::IntraNode,
        Some(Category::IntraAz) => api::Category::IntraAz,
        Some(Category::InterAz) => api::Category::InterAz,
        Some(Category::InterVpc) => api::Category::InterVpc,
        Some(Category::InterRegion) => api::Category::InterRegion,
        Some(Category::AwsService) => api::Category::AwsService,
        Some(Category::Internet) => api::Category::Internet,
        Some(Category::Unclassified) | None => api::Category::Unclassified,
    }
}

/// `number` with its two leading digits.
pub(super) fn two_digits(number: u64) -> u64 {
    let mut unit = 1_u64;
    while number / unit >= 100 {
        unit = unit.saturating_mul(10);
    }
    number.saturating_add(unit / 2) / unit * unit
}

/// A number of things, with its two leading digits.
pub(super) fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", two_digits(number), if number == 1 { "" } else { "s" })
}

/// Microseconds as milliseconds with two leading digits, such as 0.52ms or 48ms.
pub(super) fn rtt_text(us: u64) -> String {
    format!("{}ms", decimal(two_digits(us), 3))
}

/// A ratio in percent with two leading digits, such as 2.1% or 0.04%.
pub(super) fn percent_text(ratio: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let millionths = (ratio.clamp(0.0, 1.0) * 1e6).round() as u64;
    format!("{}%", decimal(two_digits(millionths), 4))
}

/// A ratio with two leading digits.
pub(super) fn two_digit_ratio(ratio: f64) -> f64 {
    if !ratio.is_finite() || ratio <= 0.0 {
        return 0.0;
    }
    let unit = 10_f64.powf(ratio.log10().floor() - 1.0);
    let rounded = (ratio / unit).round() * unit;
    // Away with the digits that the multiplication by a power of ten left behind.
    format!("{rounded:.9}").parse().unwrap_or(rounded)
}

/// `number / 10^places` without trailing zeros.
fn decimal(number: u64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let fraction = format!("{:0width$}", number % unit, width = places as usize);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{}", number / unit) } else { format!("{}.{fraction}", number / unit) }
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
