//! The number of writes that the API server has served, by its own count.
//!
//! `apiserver_request_total` counts requests whether or not they changed anything, so that a controller which
//! rewrites the same object for ever shows, where resource versions would hide it.

use std::collections::BTreeMap;

use crate::cluster::Cluster;

/// Successful writes by verb and resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiWrites(BTreeMap<String, u64>);

/// Writes that are normal in an idle cluster: leases of components and nodes, the kubelets' reports, and calls that
/// store nothing.
const EXPECTED_WHEN_IDLE: [&str; 8] = [
    "leases",
    "nodes/status",
    "nodes",
    "tokenreviews",
    "subjectaccessreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "serviceaccounts/token",
];

impl ApiWrites {
    pub fn now(cluster: &Cluster) -> anyhow::Result<Self> {
        Ok(Self::parse(&cluster.raw("/metrics")?))
    }

    fn parse(metrics: &str) -> Self {
        let mut writes = BTreeMap::new();
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("apiserver_request_total{") else { continue };
            let Some((labels, count)) = rest.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                labels.split("\",").find_map(|pair| {
                    let (key, value) = pair.split_once("=\"")?;
                    (key.trim() == name).then(|| value.trim_end_matches('"').to_owned())
                })
            };
            let verb = label("verb").unwrap_or_default();
            let stored = label("code").is_some_and(|code| code.starts_with('2'))
                && label("dry_run").is_none_or(|dry_run| dry_run.is_empty());
            if !stored
                || !matches!(
                    verb.as_str(),
                    "POST" | "PUT" | "PATCH" | "APPLY" | "DELETE" | "DELETECOLLECTION"
                )
            {
                continue;
            }
            let resource = label("resource").unwrap_or_default();
            let subresource = label("subresource").filter(|subresource| !subresource.is_empty());
            let resource =
                subresource.map_or(resource.clone(), |subresource| format!("{resource}/{subresource}"));
            if EXPECTED_WHEN_IDLE.contains(&resource.as_str()) {
                continue;
            }
            // The count is an integer, printed as a float once it is large.
            let count = count.trim().parse::<f64>().map_or(0, |count| count as u64);
            *writes.entry(format!("{verb} {resource}")).or_default() += count;
        }
        Self(writes)
    }

    /// The writes since `before`.
    pub fn since(&self, before: &Self) -> BTreeMap<String, u64> {
        let new = |(what, count): (&String, &u64)| {
            let more = count.saturating_sub(before.0.get(what).copied().unwrap_or(0));
            (more > 0).then(|| (what.clone(), more))
        };
        self.0.iter().filter_map(new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"
apiserver_request_total{code="200",component="apiserver",dry_run="",group="tidewatch.dev",resource="networkmonitors",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 70
apiserver_request_total{code="422",component="apiserver",dry_run="",group="tidewatch.dev",resource="networkmonitors",scope="resource",subresource="",verb="POST",version="v1alpha1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 9
"#;

    #[test]
    fn only_writes_that_an_idle_cluster_has_no_reason_for_are_counted() {
        let writes = ApiWrites::parse(METRICS);
        let since = writes.since(&ApiWrites::default());
        assert_eq!(since, BTreeMap::from([("PATCH networkmonitors/status".to_owned(), 7)]));
        assert!(writes.since(&writes).is_empty());
    }
}
