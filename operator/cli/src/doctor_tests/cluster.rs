//! A cluster where all is in order, as an API server shows it; a test breaks one object of it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tidewatch_crds::all_crds;
use tidewatch_testing::list_server::ListServer;

use crate::collect;
use crate::doctor::{Collected, DoctorReport, Finding, report};
use crate::fixtures::healthy;

pub(super) const NAMESPACE: &str = "tidewatch-system";
/// Text in place of the collector's key.
pub(super) const KEY: &str = "text in place of a private key";

/// The objects by plural, to be broken before they are served.
pub(super) struct TestCluster {
    pub(super) server: ListServer,
    pub(super) now: Timestamp,
    objects: Vec<(&'static str, Value)>,
}

impl TestCluster {
    pub(super) fn new() -> Self {
        let now = Timestamp::now();
        let mut cluster = Self { server: ListServer::for_administrator(), now, objects: Vec::new() };
        cluster.set_clock(0);
        for crd in all_crds() {
            let mut crd = serde_json::to_value(crd).unwrap();
            // The API server fills these in, and writes numbers without a fraction as integers.
            crd["spec"]["conversion"] = json!({"strategy": "None"});
            crd["spec"]["names"]["listKind"] =
                json!(format!("{}List", crd["spec"]["names"]["kind"].as_str().unwrap()));
            whole_numbers(&mut crd);
            crd["status"] = json!({"conditions": [{"type": "Established", "status": "True", "reason": "InitialNamesAccepted"}]});
            cluster.add("customresourcedefinitions", crd);
        }
        cluster.add("deployments", deployment(NAMESPACE, "0.1.0"));
        cluster.add("daemonsets", daemon_set());
        cluster.add("leases", json!({
            "metadata": {"name": "tidewatch-operator", "namespace": NAMESPACE},
            "spec": {"holderIdentity": "tidewatch-operator-7f", "leaseDurationSeconds": 15, "renewTime": micro(now)},
        }));
        for name in ["node-1", "node-2"] {
            cluster.add("nodes", node(name, &json!({"kubernetes.io/os": "linux"}), "6.1.0-18-cloud-amd64"));
            cluster.add("pods", agent(name, "0.1.0"));
        }
        let (secret, bundle) = certificates(now, 365, 30);
        cluster.add("secrets", secret);
        cluster.add("configmaps", bundle);
        cluster.add("clusterrolebindings", json!({
            "metadata": {"name": "tidewatch-operator"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "tidewatch-operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "tidewatch-operator", "namespace": NAMESPACE}],
        }));
        cluster.add("networkmonitors", healthy("shop", "checkout"));
        cluster
    }

    /// Sets the API server's clock this far ahead of this machine's.
    pub(super) fn set_clock(&mut self, ahead_seconds: i64) {
        let time = self.now + SignedDuration::from_secs(ahead_seconds);
        let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap();
        self.server.set_date(&text);
    }

    pub(super) fn add(&mut self, plural: &'static str, object: Value) {
        self.objects.push((plural, object));
    }

    /// All objects of a kind are these.
    pub(super) fn replace_all(&mut self, plural: &'static str, objects: &[Value]) {
        self.objects.retain(|(of, _)| *of != plural);
        self.objects.extend(objects.iter().map(|object| (plural, object.clone())));
    }

    pub(super) fn remove(&mut self, plural: &str, name: &str) {
        let before = self.objects.len();
        self.objects.retain(|(of, object)| !(*of == plural && object["metadata"]["name"] == name));
        assert!(self.objects.len() < before, "{plural} {name}");
    }

    pub(super) fn get(&mut self, plural: &str, name: &str) -> &mut Value {
        let found =
            self.objects.iter_mut().find(|(of, object)| *of == plural && object["metadata"]["name"] == name);
        &mut found.unwrap().1
    }

    pub(super) async fn collected(self) -> Collected {
        for (plural, object) in self.objects {
            self.server.put(plural, object);
        }
        collect::doctor(&self.server.client(), NAMESPACE).await.unwrap()
    }

    pub(super) async fn report(self) -> DoctorReport {
        report(&self.collected().await)
    }

    /// The findings of one part; the other parts have none.
    pub(super) async fn findings(self, part: &str) -> Vec<Finding> {
        let report = self.report().await;
        for check in report.checks.iter().filter(|check| check.name != part) {
            assert_eq!(check.findings, [], "{}", check.name);
        }
        assert!(!report.healthy, "{part} has no findings");
        report
            .checks
            .into_iter()
            .filter(|check| check.name == part)
            .flat_map(|check| check.findings)
            .collect()
    }

    /// The only finding.
    pub(super) async fn finding(self, part: &str) -> Finding {
        let findings = self.findings(part).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0].clone()
    }

    /// The only finding has this in its message.
    pub(super) async fn assert_finding(self, part: &str, words: &str) {
        let finding = self.finding(part).await;
        assert!(finding.message.contains(words), "{finding:?}");
    }
}

fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_f64().unwrap().fract() == 0.0 => {
            *number = serde_json::Number::from(number.as_f64().unwrap() as i64);
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

fn micro(time: Timestamp) -> String {
    format!("{time:.6}")
}

pub(super) fn lease_time(time: Timestamp, seconds_ago: i64) -> Value {
    json!(micro(time - SignedDuration::from_secs(seconds_ago)))
}

fn labels(component: &str, version: &str) -> Value {
    json!({"app.kubernetes.io/name": "tidewatch", "app.kubernetes.io/component": component, "app.kubernetes.io/version": version})
}

pub(super) fn deployment(namespace: &str, version: &str) -> Value {
    let labels = labels("operator", version);
    json!({
        "metadata": {"name": "tidewatch-operator", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [
                {"name": "operator", "image": format!("example.com/tidewatch:{version}")},
            ]}},
        },
        "status": {"readyReplicas": 1},
    })
}

fn daemon_set() -> Value {
    let labels = labels("agent", "0.1.0");
    let not_in = |key: &str, value: &str| json!({"key": key, "operator": "NotIn", "values": [value]});
    let expressions =
        [not_in("eks.amazonaws.com/compute-type", "fargate"), not_in("type", "virtual-kubelet")];
    json!({
        "metadata": {"name": "tidewatch-agent", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"operator": "Exists"}],
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": expressions}],
                }}},
                "containers": [{"name": "agent", "image": "example.com/tidewatch:0.1.0"}],
            }},
        },
        "status": {"currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 0, "numberReady": 2},
    })
}

pub(super) fn node(name: &str, labels: &Value, kernel: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "status": {"nodeInfo": {
            "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": kernel, "kubeProxyVersion": "",
            "kubeletVersion": "v1.34.0", "machineID": "", "operatingSystem": "linux", "osImage": "", "systemUUID": "",
        }},
    })
}

pub(super) fn agent(node: &str, version: &str) -> Value {
    json!({
        "metadata": {"name": format!("tidewatch-agent-{node}"), "namespace": NAMESPACE, "labels": labels("agent", version)},
        "spec": {"nodeName": node, "containers": [{"name": "agent", "image": format!("example.com/tidewatch:{version}")}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// The Secret and the ConfigMap, with certificates that end after so many days.
pub(super) fn certificates(now: Timestamp, authority_days: i64, serving_days: i64) -> (Value, Value) {
    let dated = |params: &mut CertificateParams, days: i64| {
        let date = |days: i64| {
            let at = (now + SignedDuration::from_hours(24 * days)).to_zoned(jiff::tz::TimeZone::UTC);
            rcgen::date_time_ymd(i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs())
        };
        params.not_before = date(-400);
        params.not_after = date(days);
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "tidewatch");
    dated(&mut params, authority_days);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["tidewatch-collector".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "collector");
    dated(&mut params, serving_days);
    let serving = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem();
    let bytes = |text: &str| serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap();
    let secret = json!({
        "metadata": {"name": "tidewatch-collector-tls", "namespace": NAMESPACE},
        "data": {"ca.crt": bytes(&authority), "tls.crt": bytes(&serving), "tls.key": bytes(KEY)},
    });
    let bundle = json!({
        "metadata": {"name": "tidewatch-collector-ca", "namespace": NAMESPACE}, "data": {"ca.crt": authority},
    });
    (secret, bundle)
}
