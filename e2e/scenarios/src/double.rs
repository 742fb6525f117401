//! The AWS double on a host outside the cluster, as the scenarios steer it and look at it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tidewatch_lab::Lab;

use crate::paths;
use crate::wait::{Look, wait_for};

/// The host that it runs on, and its port; `values-aws.yaml` names both.
const HOST: &str = "internet";
const PORT: u16 = 4599;
const START_LIMIT: Duration = Duration::from_secs(15);

/// A double that runs.
#[derive(Debug)]
pub struct AwsDouble<'l> {
    lab: &'l Lab,
    address: SocketAddr,
}

impl<'l> AwsDouble<'l> {
    /// Starts it, unless it runs already. It ends with the lab.
    pub fn start(lab: &'l Lab) -> anyhow::Result<Self> {
        let remote = lab.plan().remote(HOST).with_context(|| format!("the lab has no host {HOST}"))?;
        let double = Self { lab, address: SocketAddr::from((remote.address, PORT)) };
        if double.get("state").is_ok() {
            return Ok(double);
        }
        let binary = paths::binary("tidewatch-aws-double")?;
        let binary = binary.to_str().context("the path of the double isn't UTF-8")?;
        let log = lab.remote_serve(HOST, &[binary, "--listen", &double.address.to_string()])?;
        wait_for(START_LIMIT, "the AWS double answers", || match double.get("state") {
            Ok(_) => Look::Done(()),
            Err(error) => Look::NotYet(format!("{error:#}; its log is {}", log.display())),
        })?;
        Ok(double)
    }

    /// Asks its admin API.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, &Value::Null)
    }

    /// Steers it by its admin API.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        self.ask("POST", path, body).map(drop)
    }

    /// From now on the log of calls begins anew.
    pub fn forget_calls(&self) -> anyhow::Result<()> {
        self.ask("DELETE", "calls", &Value::Null).map(drop)
    }

    /// The calls since then.
    pub fn calls(&self) -> anyhow::Result<Vec<Call>> {
        let calls = self.get("calls")?;
        let call = |call: &Value| Call {
            operation: format!("{}:{}", text(&call["service"]), text(&call["operation"])),
            succeeded: call["outcome"] == "Ok",
        };
        Ok(calls.as_array().context("the calls are no list")?.iter().map(call).collect())
    }

    /// Everything there is, in all accounts and Regions: `alarm NAME`, `canary NAME`, `detector ID` and so on. What was
    /// put as metric data isn't among it, since AWS has no way to delete that.
    pub fn resources(&self) -> anyhow::Result<Vec<Resource>> {
        let mut found = resources(&self.get("state")?, &KINDS);
        found.extend(resources(&self.get("provisioned")?, &PROVISIONED));
        Ok(found)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let place = format!("remote-{HOST}");
        let answer = self.lab.http(&place, method, self.address, &format!("/_double/{path}"), &body)?;
        match answer.status {
            200 => Ok(serde_json::from_str(&answer.body)?),
            204 => Ok(Value::Null),
            status => bail!("{method} {path}: {status} {}", answer.body),
        }
    }
}

/// A call that the double answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `monitoring:DescribeAlarms`
    pub operation: String,
    pub succeeded: bool,
}

impl Call {
    /// True if the call only reads, or lets its caller read.
    pub fn reads(&self) -> bool {
        let (_, name) = self.operation.split_once(':').unwrap_or_default();
        ["Describe", "Get", "List", "AssumeRole"].iter().any(|verb| name.starts_with(verb))
    }
}

/// Something in AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub account: String,
    pub region: String,
    /// `alarm`, `detector`, `mute rule`, `canary`, `function`, `layer` or `log group`.
    pub kind: &'static str,
    pub name: String,
    /// As the double tells it.
    pub value: Value,
}

impl Resource {
    /// The value of one of its tags.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.value.get("Tags")?.get(key)?.as_str()
    }
}

/// For each kind: the double's name for it, its kind, and the member that holds an object's name; `None` where the
/// objects are the names themselves.
type Kinds = [(&'static str, &'static str, Option<&'static str>)];
const KINDS: [(&str, &str, Option<&str>); 4] = [
    ("alarms", "alarm", Some("AlarmName")),
    ("detectors", "detector", Some("AnomalyDetectorId")),
    ("muteRules", "mute rule", Some("name")),
    ("canaries", "canary", Some("Name")),
];
const PROVISIONED: [(&str, &str, Option<&str>); 3] =
    [("functions", "function", None), ("layers", "layer", None), ("logGroups", "log group", None)];

fn resources(state: &Value, kinds: &Kinds) -> Vec<Resource> {
    let mut found = Vec::new();
    for place in state["regions"].as_array().into_iter().flatten() {
        for (member, kind, name) in kinds {
            for value in place[*member].as_array().into_iter().flatten() {
                found.push(Resource {
                    account: text(&place["account"]).to_owned(),
                    region: text(&place["region"]).to_owned(),
                    kind,
                    name: text(name.map_or(value, |name| &value[name])).to_owned(),
                    value: value.clone(),
                });
            }
        }
    }
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_there_is_is_found_in_every_place() {
        let state = json!({"regions": [
            {"account": "1", "region": "r", "alarms": [{"AlarmName": "a"}], "canaries": [{"Name": "c"}]},
            {"account": "2", "region": "s", "alarms": [{"AlarmName": "b"}], "metrics": 4},
        ]});
        let found = resources(&state, &KINDS);
        let names: Vec<_> = found
            .iter()
            .map(|it| (it.account.as_str(), it.region.as_str(), it.kind, it.name.as_str()))
            .collect();
        assert_eq!(names, [("1", "r", "alarm", "a"), ("1", "r", "canary", "c"), ("2", "s", "alarm", "b")]);
        let provisioned =
            json!({"regions": [{"account": "1", "region": "r", "logGroups": ["/aws/lambda/x"]}]});
        assert_eq!(resources(&provisioned, &PROVISIONED)[0].name, "/aws/lambda/x");
    }

    #[test]
    fn what_only_looks_is_told_from_what_writes() {
        let reads = |operation: &str| Call { operation: operation.to_owned(), succeeded: true }.reads();
        assert!(reads("monitoring:DescribeAlarms") && reads("sts:AssumeRoleWithWebIdentity"));
        assert!(!reads("monitoring:PutMetricAlarm") && !reads("synthetics:TagResource"));
    }
}
