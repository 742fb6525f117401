//! The Prometheus metrics of the operator's pods.

use crate::bed::OPERATOR_NAMESPACE;
use crate::cluster::{Cluster, name_of};

/// All lines of all of its pods.
#[derive(Debug)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    /// As written, without the braces.
    labels: String,
    value: f64,
}

impl Metrics {
    pub fn now(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut samples = Vec::new();
        for pod in cluster.pods(OPERATOR_NAMESPACE, "app.kubernetes.io/component=operator")? {
            let name = name_of(&pod.metadata);
            let path = format!("/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{name}:8080/proxy/metrics");
            samples.extend(cluster.raw(&path)?.lines().filter_map(Sample::parse));
        }
        Ok(Self { samples })
    }

    /// The sum of the series of this name that `wanted` picks by their labels.
    pub fn sum(&self, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
        self.samples
            .iter()
            .filter(|sample| sample.name == name && wanted(&sample.labels))
            .map(|sample| sample.value)
            .sum()
    }
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').to_owned();
        Some(Self { name: name.to_owned(), labels, value: value.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed_by_label() {
        let text = "# HELP a_total x\na_total{kind=\"ok\"} 3\na_total{kind=\"bad one\"} 2\na_total_more 7\nb 1.5\n# EOF";
        let metrics = Metrics { samples: text.lines().filter_map(Sample::parse).collect() };
        assert_eq!(metrics.sum("a_total", |_| true), 5.0);
        assert_eq!(metrics.sum("a_total", |labels| labels.contains("bad one")), 2.0);
        assert_eq!(metrics.sum("b", |_| true), 1.5);
        assert_eq!(metrics.sum("c", |_| true), 0.0);
    }
}
