//! What a monitor publishes to CloudWatch, by name: the publisher and the alarms on it agree here.

use std::collections::BTreeMap;

use tidewatch_crds::anomaly_alarm::NetworkMonitorMetricName;
use tidewatch_crds::network_monitor::Category;

/// 0 while the network is healthy, 100 while it is at fault; absent while that isn't known.
pub const HEALTH_INDICATOR: &str = "HealthIndicator";

/// As Network Flow Monitor names it.
pub fn metric_name(metric: NetworkMonitorMetricName) -> &'static str {
    match metric {
        NetworkMonitorMetricName::RoundTripTime => "RoundTripTime",
        NetworkMonitorMetricName::Retransmissions => "Retransmissions",
        NetworkMonitorMetricName::Timeouts => "Timeouts",
        NetworkMonitorMetricName::DataTransferred => "DataTransferred",
        NetworkMonitorMetricName::HealthIndicator => HEALTH_INDICATOR,
    }
}

/// The dimensions of one series: bounded by monitors × categories, never an address.
pub fn dimensions(
    cluster_name: &str,
    namespace: &str,
    monitor: &str,
    category: Option<Category>,
) -> BTreeMap<String, String> {
    let mut dimensions = BTreeMap::from([
        ("ClusterName".to_owned(), cluster_name.to_owned()),
        ("Namespace".to_owned(), namespace.to_owned()),
        ("MonitorName".to_owned(), monitor.to_owned()),
    ]);
    if let Some(category) = category {
        dimensions.insert("Category".to_owned(), category_name(category).to_owned());
    }
    dimensions
}

/// As the API writes it.
pub fn category_name(category: Category) -> &'static str {
    match category {
        Category::IntraNode => "IntraNode",
        Category::IntraAz => "IntraAZ",
        Category::InterAz => "InterAZ",
        Category::InterVpc => "InterVPC",
        Category::InterRegion => "InterRegion",
        Category::AwsService => "AWSService",
        Category::Internet => "Internet",
        Category::Unclassified => "Unclassified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_spell_a_category_as_the_status_does() {
        for category in [
            Category::IntraNode,
            Category::IntraAz,
            Category::InterAz,
            Category::InterVpc,
            Category::InterRegion,
            Category::AwsService,
            Category::Internet,
            Category::Unclassified,
        ] {
            assert_eq!(serde_json::to_value(category).unwrap(), category_name(category));
        }
    }
}
