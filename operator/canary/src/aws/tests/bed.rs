//! The canaries' controller on its bed, and what tests declare.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tidewatch_aws_double::Region;
use tidewatch_aws_double::synthetics::Canary as DoubleCanary;
use tidewatch_crds::{Canary, CanaryStatus};
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_managed::AwsPolicy;
use tidewatch_testing::managed::sweeps::{End, Way};
use tidewatch_testing::managed::{self, Cluster, Controller, Parts};

use crate::aws::names;
use crate::aws::pass::{AwsCanaries, Surroundings};
use crate::aws::scripts::{Files, Scripts};
use crate::policy::Policy;

pub(super) use tidewatch_testing::managed::{ACCOUNT, REGION, set, with};

pub(super) const ROLE: &str = "arn:aws:iam::210987654321:role/canaries";
pub(super) const RUN_AS: &str = "arn:aws:iam::123456789012:role/canary-run";
pub(super) const RUN_AS_TOO: &str = "arn:aws:iam::123456789012:role/other";
/// Longer than AWS takes for anything in the double.
pub(super) const SOON: SignedDuration = SignedDuration::from_secs(25);

pub(super) type Tested = AwsCanaries<Cluster<Canary>>;
pub(super) type Bed = managed::Bed<Tested>;

impl Scripts for Cluster<Canary> {
    async fn files(&self, namespace: &str, config_map: &str) -> Result<Option<Files>, kube::Error> {
        Ok(self.config_map(namespace, config_map))
    }
}

impl Controller for Tested {
    type Kind = Canary;
    type Extra = Policy;
    const AWS_TAKES: SignedDuration = SOON;
    /// An update of code or environment, before its tags.
    const UNTOLD: usize = 1;

    fn policy() -> AwsPolicy {
        let roles = [ROLE, RUN_AS, RUN_AS_TOO].map(str::to_owned);
        AwsPolicy {
            enabled: true,
            roles: BTreeMap::from([("shop".to_owned(), roles.into())]),
            adoptable: BTreeMap::from([("shop".to_owned(), BTreeSet::from(["legacy-".to_owned()]))]),
            ..AwsPolicy::default()
        }
    }

    fn extra() -> Policy {
        Policy { script_namespaces: BTreeSet::from(["shop".to_owned()]), ..Policy::default() }
    }

    fn new(parts: Parts<Canary>, policy: &Policy) -> Self {
        let Parts { objects, aws, policy: aws_policy, lost, clock, .. } = parts;
        let watches = WatchHealth::default();
        Self::new(Surroundings { objects, aws, policy: policy.clone(), aws_policy, lost, clock, watches })
    }

    async fn pass(&self, canary: &Canary) -> bool {
        Self::pass(self, canary).await.is_ok()
    }

    /// One that is changed, suspended and deleted, beside another that stays.
    async fn scenario(bed: &mut Bed, way: &impl Way<Self>) -> End {
        bed.apply("other", &checks());
        bed.apply("home", &first());
        way.rest(bed).await;
        bed.double.advance(SignedDuration::from_mins(2));
        bed.apply("home", &changed());
        way.rest(bed).await;
        let middle = bed.all();
        bed.apply("home", &with(changed(), "/suspend", json!(true)));
        way.rest(bed).await;
        bed.delete("home");
        way.rest(bed).await;
        assert!(bed.get("home").is_none());
        (middle, bed.all())
    }

    fn there(region: &Region) -> BTreeMap<String, String> {
        let canaries = region.synthetics.canaries.values().map(|canary| {
            let code = format!("{:?}", canary.config.code.zip_file.as_ref().map(String::len));
            let mut config = canary.config.clone();
            config.code.zip_file = None;
            let is = (canary.status.state, &canary.tags, &config, code);
            (format!("canary {}", canary.name), format!("{is:#?}"))
        });
        // They have the id in their names: only how many there are is the same each time.
        let around = &region.synthetics.surroundings;
        let counts = (around.functions.len(), around.layers.len(), around.log_groups.len());
        canaries.chain([("around".to_owned(), format!("{counts:?}"))]).collect()
    }
}

/// Operations of tests on canaries.
pub(super) trait CanaryBed {
    /// With annotations.
    fn apply_annotated(&self, name: &str, spec: &Value, annotations: &Value);

    /// Makes a ConfigMap of one file, or changes it.
    fn config_map(&self, name: &str, file: &str, content: &str);

    /// As if the object were run in the cluster now: what it has in AWS goes.
    async fn leave(&self, name: &str) -> bool;

    /// A canary in the double, as it is; none if there is none of that object.
    fn there(&self, name: &str) -> Option<DoubleCanary>;

    /// Functions, layers and log groups.
    fn around(&self) -> (usize, usize, usize);

    /// The full name in AWS of an object's canary.
    fn name_of(&self, name: &str) -> String;
}

impl CanaryBed for Bed {
    fn apply_annotated(&self, name: &str, spec: &Value, annotations: &Value) {
        self.cluster.apply(name, spec, annotations);
    }

    fn config_map(&self, name: &str, file: &str, content: &str) {
        let files = BTreeMap::from([(file.to_owned(), content.as_bytes().to_vec())]);
        self.cluster.set_config_map(name, files);
    }

    async fn leave(&self, name: &str) -> bool {
        let canary = self.get(name).unwrap();
        let (left, _) = self.controller().leave(&canary).await.unwrap();
        self.cluster.set_status(name, CanaryStatus { aws: left.clone(), ..self.status(name) });
        left.is_none()
    }

    fn there(&self, name: &str) -> Option<DoubleCanary> {
        let name = self.name_of(name);
        self.region(|region| region.synthetics.canaries.get(&name).cloned())
    }

    fn around(&self) -> (usize, usize, usize) {
        self.region(|region| {
            let around = &region.synthetics.surroundings;
            (around.functions.len(), around.layers.len(), around.log_groups.len())
        })
    }

    fn name_of(&self, name: &str) -> String {
        names::canary(&self.policy, "shop", name)
    }
}

/// A canary of checks.
pub(super) fn checks() -> Value {
    json!({
        "provider": "AWS",
        "schedule": {"every": "1m"},
        "timeout": "30s",
        "checks": [{"name": "home", "http": {"url": "https://shop.example.com/"}}],
        "aws": {"executionRoleArn": RUN_AS, "artifacts": "s3://shop-canaries/checkout"},
    })
}

/// A canary of a script in a ConfigMap.
pub(super) fn script() -> Value {
    let mut spec = checks();
    spec.as_object_mut().unwrap().remove("checks");
    spec["script"] = json!({
        "runtime": "syn-nodejs-puppeteer", "handler": "index.handler", "configMapRef": {"name": "script"},
    });
    spec
}

fn changed() -> Value {
    let mut spec = checks();
    spec["timeout"] = json!("40s");
    spec["checks"][0]["http"]["url"] = json!("https://other.example.com/");
    spec["tags"] = json!({"cost": "1"});
    spec
}

fn first() -> Value {
    let mut spec = checks();
    spec["tags"] = json!({"team": "a"});
    spec
}
