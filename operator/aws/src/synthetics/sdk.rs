//! CloudWatch Synthetics by the AWS SDK.

use std::collections::BTreeSet;

use aws_sdk_synthetics::Client;
use jiff::Timestamp;

use super::calls::{Pages, Synthetics};
use super::convert;
use super::types::{CanaryParts, CanarySeen, Field, RunSeen, RuntimeSeen};
use crate::caller::{Caller, gone};
use crate::cloudwatch::Answer;
use crate::error::{AwsError, ErrorKind};
use crate::types::Tags;

/// One account and Region.
#[derive(Debug, Clone)]
pub(crate) struct SdkSynthetics {
    pub client: Client,
    pub caller: Caller,
}

impl SdkSynthetics {
    fn unbuilt(&self, operation: &'static str, error: &dyn std::fmt::Display) -> AwsError {
        AwsError::local(operation, &self.caller.region, ErrorKind::Terminal, error.to_string())
    }
}

/// No names are all of them.
fn some(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}

impl Synthetics for SdkSynthetics {
    fn canaries<'a>(&'a self, names: &'a [String]) -> Answer<'a, Pages<CanarySeen>> {
        Box::pin(async move {
            let (mut items, mut pages, mut token) = (Vec::new(), 0, None);
            loop {
                let request = self
                    .client
                    .describe_canaries()
                    .set_names(some(names))
                    .max_results(20)
                    .set_next_token(token);
                let output = self.caller.call("DescribeCanaries", request.send()).await?;
                items.extend(output.canaries().iter().filter_map(convert::canary_of));
                (pages, token) = (pages + 1, output.next_token);
                if token.is_none() {
                    return Ok(Pages { items, pages });
                }
            }
        })
    }

    fn last_runs<'a>(&'a self, names: &'a [String]) -> Answer<'a, Pages<(String, RunSeen)>> {
        Box::pin(async move {
            let (mut items, mut pages, mut token) = (Vec::new(), 0, None);
            loop {
                let request = self
                    .client
                    .describe_canaries_last_run()
                    .set_names(some(names))
                    .max_results(100)
                    .set_next_token(token);
                let output = self.caller.call("DescribeCanariesLastRun", request.send()).await?;
                items.extend(output.canaries_last_run().iter().filter_map(|last| {
                    Some((last.canary_name()?.to_owned(), convert::run_of(last.last_run()?)?))
                }));
                (pages, token) = (pages + 1, output.next_token);
                if token.is_none() {
                    return Ok(Pages { items, pages });
                }
            }
        })
    }

    fn canary<'a>(&'a self, name: &'a str) -> Answer<'a, Option<CanarySeen>> {
        Box::pin(async move {
            let request = self.client.get_canary().name(name);
            match self.caller.call("GetCanary", request.send()).await {
                Ok(output) => output
                    .canary()
                    .and_then(convert::canary_of)
                    .map(Some)
                    .ok_or_else(|| self.caller.untold("GetCanary", "a canary")),
                Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn runs<'a>(&'a self, name: &'a str, after: Timestamp) -> Answer<'a, Vec<RunSeen>> {
        Box::pin(async move {
            let (mut runs, mut token) = (Vec::new(), None);
            loop {
                let request = self.client.get_canary_runs().name(name).max_results(100).set_next_token(token);
                let output = self.caller.call("GetCanaryRuns", request.send()).await?;
                let read: Vec<RunSeen> = output.canary_runs().iter().filter_map(convert::run_of).collect();
                let older = read.iter().any(|run| run.started <= after);
                runs.extend(read.into_iter().filter(|run| run.started > after));
                token = output.next_token;
                if token.is_none() || older {
                    return Ok(runs);
                }
            }
        })
    }

    fn runtimes(&self) -> Answer<'_, Vec<RuntimeSeen>> {
        Box::pin(async move {
            let (mut runtimes, mut token) = (Vec::new(), None);
            loop {
                let request = self.client.describe_runtime_versions().max_results(100).set_next_token(token);
                let output = self.caller.call("DescribeRuntimeVersions", request.send()).await?;
                runtimes.extend(output.runtime_versions().iter().filter_map(convert::runtime_of));
                token = output.next_token;
                if token.is_none() {
                    return Ok(runtimes);
                }
            }
        })
    }

    fn create<'a>(&'a self, canary: &'a CanaryParts, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = &canary.config;
            let schedule = convert::schedule_to(&config.schedule)
                .map_err(|error| self.unbuilt("CreateCanary", &error))?;
            let request = self
                .client
                .create_canary()
                .name(&canary.name)
                .code(convert::code_to(canary))
                .execution_role_arn(&config.role)
                .artifact_s3_location(format!("s3://{}", config.artifacts))
                .set_artifact_config(
                    config.encryption.is_some().then(|| convert::encryption_to(config.encryption.as_ref())),
                )
                .runtime_version(&config.runtime)
                .schedule(schedule)
                .run_config(convert::run_to(canary))
                .success_retention_period_in_days(config.success_days)
                .failure_retention_period_in_days(config.failure_days)
                .set_vpc_config(config.vpc.is_some().then(|| convert::vpc_to(config.vpc.as_ref())))
                .provisioned_resource_cleanup(convert::cleanup_to(config.cleans_up))
                .set_tags(Some(tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()));
            self.caller.call("CreateCanary", request.send()).await.map(drop)
        })
    }

    fn update<'a>(&'a self, canary: &'a CanaryParts, fields: &'a BTreeSet<Field>) -> Answer<'a, ()> {
        Box::pin(async move {
            let config = &canary.config;
            let mut request = self.client.update_canary().name(&canary.name);
            for field in fields {
                request = match field {
                    Field::Role => request.execution_role_arn(&config.role),
                    Field::Artifacts => request.artifact_s3_location(format!("s3://{}", config.artifacts)),
                    Field::Encryption => {
                        request.artifact_config(convert::encryption_to(config.encryption.as_ref()))
                    }
                    // AWS is reported to refuse a runtime alone (hashicorp/terraform-provider-aws#46792).
                    Field::Runtime => request.runtime_version(&config.runtime).code(convert::code_to(canary)),
                    Field::Code => request.code(convert::code_to(canary)),
                    Field::Schedule => request.schedule(
                        convert::schedule_to(&config.schedule)
                            .map_err(|error| self.unbuilt("UpdateCanary", &error))?,
                    ),
                    Field::Run => request.run_config(convert::run_to(canary)),
                    Field::SuccessDays => request.success_retention_period_in_days(config.success_days),
                    Field::FailureDays => request.failure_retention_period_in_days(config.failure_days),
                    Field::Vpc => request.vpc_config(convert::vpc_to(config.vpc.as_ref())),
                    Field::Cleanup => {
                        request.provisioned_resource_cleanup(convert::cleanup_to(config.cleans_up))
                    }
                };
            }
            self.caller.call("UpdateCanary", request.send()).await.map(drop)
        })
    }

    fn remove_replicas<'a>(&'a self, name: &'a str, regions: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async move {
            let request =
                self.client.update_canary().name(name).set_remove_replica_locations(Some(regions.to_vec()));
            self.caller.call("UpdateCanary", request.send()).await.map(drop)
        })
    }

    fn start<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.start_canary().name(name);
            self.caller.call("StartCanary", request.send()).await.map(drop)
        })
    }

    fn stop<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.stop_canary().name(name);
            self.caller.call("StopCanary", request.send()).await.map(drop)
        })
    }

    /// `DeleteLambda` counts only where somebody turned the clean-up off.
    fn delete<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.delete_canary().name(name).delete_lambda(true);
            gone(self.caller.call("DeleteCanary", request.send()).await.map(drop))
        })
    }

    fn tag<'a>(&'a self, arn: &'a str, tags: &'a Tags) -> Answer<'a, ()> {
        Box::pin(async move {
            let tags = tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let request = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags));
            self.caller.call("TagResource", request.send()).await.map(drop)
        })
    }

    fn untag<'a>(&'a self, arn: &'a str, keys: &'a [String]) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.client.untag_resource().resource_arn(arn).set_tag_keys(Some(keys.to_vec()));
            self.caller.call("UntagResource", request.send()).await.map(drop)
        })
    }
}
