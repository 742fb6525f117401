//! The rights across the cluster that the chart gives the operator, for tests that play the API server.

use axum::http::Method;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::repository;

#[derive(Debug, Clone)]
pub struct Granted(Vec<PolicyRule>);

impl Default for Granted {
    /// By the ClusterRole that comes first in the chart's rbac.yaml.
    fn default() -> Self {
        let chart =
            std::fs::read_to_string(repository().join("charts/tidewatch/templates/rbac.yaml")).unwrap();
        let role = chart.split("\n---\n").next().unwrap();
        let plain: Vec<&str> = role.lines().filter(|line| !line.contains("{{")).collect();
        let role: ClusterRole = serde_saphyr::from_str(&plain.join("\n")).unwrap();
        Self(role.rules.unwrap())
    }
}

impl Granted {
    /// Whether the operator may send this request.
    pub fn allows(&self, method: &Method, path: &str, watches: bool) -> bool {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return false,
        };
        let (resource, name) = match rest {
            ["namespaces", _, resource, name @ ..] | [resource, name @ ..] => (*resource, name),
            [] => return false,
        };
        let resource = match name {
            [_, subresource] => format!("{resource}/{subresource}"),
            _ => resource.to_owned(),
        };
        let verb = match (method, name) {
            (&Method::GET, []) if watches => "watch",
            (&Method::GET, []) => "list",
            (&Method::GET, _) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            _ => return false,
        };
        let has = |words: &Option<Vec<String>>, word: &str| words.iter().flatten().any(|one| one == word);
        self.0.iter().any(|rule| {
            has(&rule.api_groups, group)
                && has(&rule.resources, &resource)
                && rule.verbs.iter().any(|one| one == verb)
        })
    }
}

#[test]
fn only_what_the_chart_names_is_allowed() {
    let granted = Granted::default();
    let canary = "/apis/tidewatch.dev/v1alpha1/namespaces/shop/canaries/db";
    for (method, path, watches, allowed) in [
        (Method::GET, "/api/v1/pods", true, true),
        (Method::GET, "/api/v1/namespaces", false, true),
        (Method::GET, "/api/v1/secrets", false, false),
        (Method::PATCH, &format!("{canary}/status"), false, true),
        (Method::PUT, &format!("{canary}/status"), false, false),
        (Method::DELETE, canary, false, false),
        (Method::GET, "/version", false, false),
    ] {
        assert_eq!(granted.allows(&method, path, watches), allowed, "{method} {path}");
    }
}
