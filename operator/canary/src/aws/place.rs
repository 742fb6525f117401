//! Where in AWS an object's canary is. Pure.

use tidewatch_aws::Scope;
use tidewatch_crds::Canary;
use tidewatch_crds::canary::{ADOPT_CANARY_ANNOTATION, AwsCanary, AwsSpec, FormerCanary};
use tidewatch_managed::{Adoption, AwsPolicy, Shared};

use super::names;
use super::reason::Problem;

/// Where a canary is, and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub scope: Scope,
    pub name: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = self.scope.role.as_deref().unwrap_or_default();
        write!(f, "{} {} {role}", self.name, self.scope.region)
    }
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
        policy.is_on()?;
        let aws = aws(canary)?;
        let region = policy.region_of(aws.region.as_deref(), own_region, "spec.aws.region")?;
        // What a canary runs as counts too: its script could do whatever that role may.
        for role in aws.role_arn.iter().chain([&aws.execution_role_arn]) {
            policy.allows_role(namespace, role)?;
        }
        let adopted = policy.adopted(
            meta,
            &Adoption {
                annotation: ADOPT_CANARY_ANNOTATION,
                what: "canary",
                own: &own,
                is_plain: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-',
            },
        )?;
        let scope = Scope { region, role: aws.role_arn.clone() };
        let adopts = adopted.is_some();
        Ok(Self { place: Place { scope, name: adopted.unwrap_or(own) }, adopts })
    }
}

/// The CRD asks for it only where the object itself names the provider.
pub(super) fn aws(canary: &Canary) -> Result<&AwsSpec, Problem> {
    canary.spec.aws.as_ref().ok_or_else(|| {
        Problem::new(
            Shared::InvalidSpec,
            "spec.aws: AWS needs to know as whom the canary runs and where its results go: write aws: {executionRoleArn: …, artifacts: s3://…}",
        )
    })
}
