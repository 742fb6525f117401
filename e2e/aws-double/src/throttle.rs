//! Token buckets at the rates that AWS publishes (Amazon CloudWatch service quotas, cloudwatch_limits). For Synthetics it
//! publishes none; the rate here is the double's own choice.

use std::collections::BTreeMap;

/// Calls a second that an account may make in a Region; operations without a published rate have no bucket.
fn published(service: &str, operation: &str) -> Option<f64> {
    match service {
        "monitoring" => {}
        "synthetics" => return Some(10.0),
        _ => return None,
    }
    Some(match operation {
        "PutMetricAlarm"
        | "PutCompositeAlarm"
        | "DeleteAlarms"
        | "EnableAlarmActions"
        | "DisableAlarmActions"
        | "PutAlarmMuteRule" => 3.0,
        "DeleteAnomalyDetector" => 5.0,
        "DescribeAlarms" => 9.0,
        "PutAnomalyDetector" | "DescribeAnomalyDetectors" | "ListTagsForResource" => 10.0,
        "TagResource" | "UntagResource" | "DescribeAlarmHistory" => 20.0,
        "ListMetrics" => 25.0,
        "PutMetricData" | "GetMetricData" => 500.0,
        _ => return None,
    })
}

/// One bucket for each operation, account and Region; it holds a second's worth.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: BTreeMap<[String; 4], Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: f64,
}

impl Throttle {
    /// Whether a call at `now` (seconds) may pass.
    pub(crate) fn admit(
        &mut self,
        (service, operation): (&str, &str),
        account: &str,
        region: &str,
        now: f64,
    ) -> bool {
        let Some(rate) = published(service, operation) else { return true };
        let key = [service, operation, account, region].map(str::to_owned);
        let bucket = self.buckets.entry(key).or_insert(Bucket { tokens: rate, at: now });
        bucket.tokens = (bucket.tokens + (now - bucket.at).max(0.0) * rate).min(rate);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more_and_each_account_and_region_has_its_own() {
        let mut throttle = Throttle::default();
        let passed = (0..40).filter(|tick| {
            throttle.admit(("monitoring", "PutMetricAlarm"), "1", "r", f64::from(*tick) / 10.0)
        });
        // Three at once, then three a second for 3.9 seconds.
        assert_eq!(passed.count(), 3 + 11);
        assert!(throttle.admit(("monitoring", "PutMetricAlarm"), "2", "r", 3.9));
        assert!(throttle.admit(("monitoring", "PutMetricAlarm"), "1", "s", 3.9));
        assert_eq!(
            (0..30).filter(|_| throttle.admit(("synthetics", "TagResource"), "1", "r", 4.0)).count(),
            10
        );
        assert!((0..1_000).all(|_| throttle.admit(("monitoring", "PutAlarmless"), "1", "r", 4.0)));
    }
}
