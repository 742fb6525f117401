//! Where in AWS an object's canary is. Pure.

use tidewatch_crds::Canary;
use tidewatch_crds::canary::{ADOPT_CANARY_ANNOTATION, AwsCanary, AwsSpec, FormerCanary};

use super::names;
use super::reason::{Problem, Reason};
use crate::aws::Scope;
use crate::controllers::in_aws::AwsPolicy;

/// Where a canary is, and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub scope: Scope,
    pub name: String,
}

impl Place {
    pub(super) fn of(recorded: &AwsCanary) -> Self {
        Self {
            scope: Scope { region: recorded.region.clone(), role: recorded.role_arn.clone() },
            name: recorded.name.clone(),
        }
    }

    pub(super) fn of_former(former: &FormerCanary) -> Self {
        Self {
            scope: Scope { region: former.region.clone(), role: former.role_arn.clone() },
            name: former.name.clone(),
        }
    }
}

/// Where the canary of an object should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub place: Place,
    /// One that is there and isn't ours may be taken over.
    pub adopts: bool,
}

impl Wanted {
    /// Where `canary` should be, or why that can't be told.
    pub(super) fn new(
        canary: &Canary,
        policy: &AwsPolicy,
        own_region: Option<&str>,
    ) -> Result<Self, Problem> {
        let meta = &canary.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let own = names::canary(policy, namespace, meta.name.as_deref().unwrap_or_default());
        if !policy.enabled {
            return Err(Problem::new(
                Reason::AwsDisabled,
                "the operator isn't allowed to use AWS: ask whoever runs Tidewatch to set the chart's aws.enabled",
            ));
        }
        let aws = aws(canary)?;
        let Some(region) = aws.region.as_deref().or(policy.region.as_deref()).or(own_region) else {
            return Err(Problem::new(
                Reason::RegionUnknown,
                "no Region is known: write spec.aws.region: ap-northeast-1, or set the chart's aws.region",
            ));
        };
        // What a canary runs as counts too: its script could do whatever that role may.
        let mut roles = aws.role_arn.iter().chain([&aws.execution_role_arn]);
        if let Some(role) = roles.find(|role| !policy.allows_role(namespace, role)) {
            return Err(Problem::new(
                Reason::RoleNotAllowed,
                format!(
                    "namespace {namespace} may not use role {role}: ask whoever runs Tidewatch to add it to the chart's aws.roles.{namespace}"
                ),
            ));
        }
        let adopt = adopted(canary, namespace, &own, policy)?;
        let scope = Scope { region: region.to_owned(), role: aws.role_arn.clone() };
        let adopts = adopt.is_some();
        Ok(Self { place: Place { scope, name: adopt.unwrap_or(own) }, adopts })
    }
}

/// The CRD asks for it only where the object itself names the provider.
pub(super) fn aws(canary: &Canary) -> Result<&AwsSpec, Problem> {
    canary.spec.aws.as_ref().ok_or_else(|| {
        Problem::new(
            Reason::InvalidSpec,
            "spec.aws: AWS needs to know as whom the canary runs and where its results go: write aws: {executionRoleArn: …, artifacts: s3://…}",
        )
    })
}

fn adopted(
    canary: &Canary,
    namespace: &str,
    own: &str,
    policy: &AwsPolicy,
) -> Result<Option<String>, Problem> {
    let annotations = canary.metadata.annotations.as_ref();
    let Some(adopt) = annotations.and_then(|all| all.get(ADOPT_CANARY_ANNOTATION)) else { return Ok(None) };
    if adopt != own && !policy.allows_adoption(namespace, adopt) {
        return Err(Problem::new(
            Reason::AdoptionNotAllowed,
            format!(
                "namespace {namespace} may not adopt canary {adopt}: ask whoever runs Tidewatch to add the beginning of its name to the chart's aws.adoptable.{namespace}, or remove annotation {ADOPT_CANARY_ANNOTATION}"
            ),
        ));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if adopt.is_empty() || adopt.len() > 255 || !adopt.bytes().all(plain) {
        return Err(Problem::new(
            Reason::InvalidSpec,
            format!("annotation {ADOPT_CANARY_ANNOTATION}: {adopt:?} isn't the name of a canary"),
        ));
    }
    Ok(Some(adopt.clone()))
}
