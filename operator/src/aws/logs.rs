//! The one thing that is asked of CloudWatch Logs: what canaries' functions logged goes with them.
//!
//! One operation isn't worth the SDK's crate for that service: it is four times the one for Synthetics, and takes more than
//! a minute to compile. The SDK's own runtime makes the call: it resolves the credentials, signs, sends and times out.

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
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
use serde_json::{Value, json};

use super::caller::{Caller, gone};
use super::cloudwatch::Answer;

/// CloudWatch Logs in one account and Region.
pub trait Logs: Send + Sync {
    /// Deletes a log group with all that is in it.
    fn delete_group<'a>(&'a self, name: &'a str) -> Answer<'a, ()>;
}

/// DeleteLogGroup over awsJson1.1.
#[derive(Debug)]
pub(super) struct SignedLogs {
    delete_group: Operation<String, (), ErrorMetadata>,
    caller: Caller,
}

impl SignedLogs {
    pub(super) fn new(config: &SdkConfig, caller: Caller) -> Self {
        let builder = Operation::builder()
            .service_name("CloudWatch Logs")
            .operation_name("DeleteLogGroup")
            .behavior_version(aws_smithy_runtime_api::client::behavior_version::BehaviorVersion::latest())
            .endpoint_url(&endpoint(config, &caller.region))
            .no_retry()
            .runtime_plugin(signing(config, &caller.region))
            .serializer(request)
            .deserializer(answer);
        let builder = match config.timeout_config() {
            Some(timeouts) => builder.timeout_config(timeouts.clone()),
            None => builder,
        };
        Self { delete_group: builder.build(), caller }
    }
}

impl Logs for SignedLogs {
    fn delete_group<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            gone(self.caller.call("DeleteLogGroup", self.delete_group.invoke(name.to_owned())).await)
        })
    }
}

/// AWS's own, unless AWS_ENDPOINT_URL says otherwise.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    config.endpoint_url().map_or_else(|| format!("https://logs.{region}.{domain}"), str::to_owned)
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
