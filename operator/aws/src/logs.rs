//! The one thing that is asked of CloudWatch Logs: what canaries' functions logged goes with them.
//!
//! One operation isn't worth the SDK's crate for that service: it is four times the one for Synthetics, and takes more than
//! a minute to compile. The SDK's own runtime makes the call: it resolves the credentials, signs, sends and times out.

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_sdk_synthetics::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{AuthSchemeOptionResolverParams, SharedAuthScheme};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use aws_types::service_config::ServiceConfigKey;
use futures::FutureExt;
use serde_json::{Value, json};

use super::caller::{Caller, gone};
use super::cloudwatch::Answer;
use super::error::{AwsError, ErrorKind};

/// As the SDKs call it: its settings are `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`, and `cloudwatch_logs` in a profile.
const SERVICE: &str = "CloudWatch Logs";
const DELETE_GROUP: &str = "DeleteLogGroup";

/// CloudWatch Logs in one account and Region.
pub trait Logs: Send + Sync {
    /// Deletes a log group with all that is in it.
    fn delete_group<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
}

/// DeleteLogGroup over awsJson1.1.
#[derive(Debug)]
pub(super) struct SignedLogs {
    /// An error where AWS has no such endpoint, such as a FIPS endpoint in a partition without any.
    delete_group: Result<Operation<String, (), ErrorMetadata>, AwsError>,
    caller: Caller,
}

impl SignedLogs {
    pub(super) fn new(config: &SdkConfig, caller: Caller) -> Self {
        let endpoint = endpoint(config, &caller.region).map_err(|why| {
            let message = format!("no endpoint of {SERVICE}: {why}");
            AwsError::local(DELETE_GROUP, &caller.region, ErrorKind::Terminal, message)
        });
        let delete_group = endpoint.map(|endpoint| delete_group(config, &caller.region, &endpoint));
        Self { delete_group, caller }
    }
}

fn delete_group(config: &SdkConfig, region: &str, endpoint: &str) -> Operation<String, (), ErrorMetadata> {
    let builder = Operation::builder()
        .service_name(SERVICE)
        .operation_name(DELETE_GROUP)
        .behavior_version(aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .no_retry()
        .runtime_plugin(signing(config, region))
        .serializer(request)
        .deserializer(answer);
    let builder = match config.timeout_config() {
        Some(timeouts) => builder.timeout_config(timeouts.clone()),
        None => builder,
    };
    builder.build()
}

impl Logs for SignedLogs {
    fn delete_group<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let operation = self.delete_group.as_ref().map_err(Clone::clone)?;
            gone(self.caller.call(DELETE_GROUP, operation.invoke(name.to_owned())).await)
        })
    }
}

/// AWS's own, unless the configuration names another: in the order in which the SDK's clients look for one.
fn endpoint(config: &SdkConfig, region: &str) -> Result<String, BoxError> {
    let given = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return given.map_or_else(|| own_endpoint(config, region), Ok);
    }
    let key = ServiceConfigKey::builder()
        .service_id(SERVICE)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service = config.service_config().zip(key.ok()).and_then(|(config, key)| config.load_config(key));
    of_service.or(given).map_or_else(|| own_endpoint(config, region), Ok)
}

/// AWS's own endpoint. In every partition that of CloudWatch Logs follows the same rule as that of Synthetics, whose client
/// knows the partitions: only the name of the service differs.
fn own_endpoint(config: &SdkConfig, region: &str) -> Result<String, BoxError> {
    let (fips, dual_stack) = (config.use_fips() == Some(true), config.use_dual_stack() == Some(true));
    // In GovCloud the usual endpoints of CloudWatch Logs are FIPS endpoints, and aren't named so.
    let fips = fips && (dual_stack || !region.starts_with("us-gov-"));
    let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dual_stack).build()?;
    let resolver = DefaultResolver::new();
    let resolved = ResolveEndpoint::resolve_endpoint(&resolver, &params).now_or_never();
    let resolved = resolved.ok_or("the SDK didn't resolve the endpoint at once")??;
    let rest = resolved.url().strip_prefix("https://synthetics");
    let rest = rest.ok_or_else(|| format!("no endpoint of Synthetics: {}", resolved.url()))?;
    Ok(format!("https://logs{rest}"))
}

/// Signature version 4 by the configured credentials.
fn signing(config: &SdkConfig, region: &str) -> StaticRuntimePlugin {
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(aws_types::region::Region::new(region.to_owned()))),
        name: Some(SigningName::from_static("logs")),
        ..SigV4OperationSigningConfig::default()
    });
    let mut components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID])));
    // What the SDK's clients share: one that assumes a role does so once for all of them.
    components = components
        .with_identity_cache(config.identity_cache())
        .with_http_client(config.http_client())
        .with_time_source(config.time_source());
    if let Some(credentials) = config.credentials_provider() {
        components = components.with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(credentials));
    }
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

fn request(group: String) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(json!({"logGroupName": group}).to_string()));
    request.set_method("POST")?;
    request.set_uri("/")?;
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.1");
    headers.insert("x-amz-target", "Logs_20140328.DeleteLogGroup");
    Ok(request)
}

fn answer(response: &HttpResponse) -> Result<(), OrchestratorError<ErrorMetadata>> {
    if response.status().is_success() {
        return Ok(());
    }
    let body: Value =
        response.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| body.get(*name)?.as_str());
    let code = response.headers().get("x-amzn-errortype").or(text(&["__type", "code"])).unwrap_or_default();
    // Such as com.amazon.coral#ThrottlingException:http://…
    let code = code.split(':').next().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let message = text(&["message", "Message"]).unwrap_or("AWS gave no reason");
    Err(OrchestratorError::operation(ErrorMetadata::builder().code(code).message(message).build()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use aws_config::Region;
    use aws_types::origin::Origin;
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// AWS_ENDPOINT_URL_CLOUDWATCH_LOGS is set.
    #[derive(Debug)]
    struct OfService;

    impl LoadServiceConfig for OfService {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            let wanted = (key.service_id(), key.env()) == ("CloudWatch Logs", "AWS_ENDPOINT_URL");
            wanted.then(|| "http://logs.example".to_owned())
        }
    }

    fn endpoint_of(builder: aws_types::sdk_config::Builder, region: &'static str) -> String {
        endpoint(&builder.region(Region::new(region)).build(), region).unwrap()
    }

    #[test]
    fn an_endpoint_for_logs_alone_goes_before_one_for_all_services_unless_that_is_set_in_code() {
        let all = || SdkConfig::builder().endpoint_url("http://all.example");
        assert_eq!(endpoint_of(all(), "eu-west-1"), "http://all.example");
        assert_eq!(endpoint_of(all().service_config(OfService), "eu-west-1"), "http://logs.example");
        let of_service = SdkConfig::builder().service_config(OfService);
        assert_eq!(endpoint_of(of_service, "eu-west-1"), "http://logs.example");
        let mut in_code = all().service_config(OfService);
        in_code.insert_origin("endpoint_url", Origin::shared_config());
        assert_eq!(endpoint_of(in_code, "eu-west-1"), "http://all.example");
    }

    #[test]
    fn without_one_it_is_aws_s_own_of_the_region() {
        for (region, fips, dual_stack, url) in [
            ("eu-west-1", false, false, "https://logs.eu-west-1.amazonaws.com"),
            ("us-east-1", true, false, "https://logs-fips.us-east-1.amazonaws.com"),
            ("us-gov-west-1", true, false, "https://logs.us-gov-west-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://logs.eu-west-1.api.aws"),
            ("us-gov-west-1", true, true, "https://logs-fips.us-gov-west-1.api.aws"),
            ("cn-north-1", false, false, "https://logs.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "https://logs.cn-north-1.api.amazonwebservices.com.cn"),
            ("eusc-de-east-1", false, false, "https://logs.eusc-de-east-1.amazonaws.eu"),
            ("us-iso-east-1", false, false, "https://logs.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", true, false, "https://logs-fips.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            let builder = SdkConfig::builder().use_fips(fips).use_dual_stack(dual_stack);
            assert_eq!(endpoint_of(builder, region), url, "fips {fips}, dual stack {dual_stack}");
        }
    }
}
