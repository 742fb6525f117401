//! Whom calls to AWS trust in an image that holds nothing but the operator. The SDK takes the system's certificate
//! authorities; where there are none it would trust nobody, so it is given Mozilla's.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use data_encoding::BASE64;

/// A client to use instead of the SDK's own, where that would trust nobody.
pub(super) fn http_client() -> Option<SharedHttpClient> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return None;
    }
    tracing::info!("the system has no certificate authorities: Mozilla's are taken for AWS");
    Some(trusting_mozillas())
}

/// The SDK's own client but for its authorities: it minds HTTPS_PROXY, HTTP_PROXY and NO_PROXY as that does.
fn trusting_mozillas() -> SharedHttpClient {
    let store = TrustStore::empty().with_pem_certificate(mozillas());
    let context = TlsContext::builder().with_trust_store(store).build().unwrap_or_default();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone());
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder.set_proxy_config(Some(ProxyConfig::from_env()));
        builder.build()
    })
}

/// As PEM, which is what the SDK takes.
fn mozillas() -> String {
    let authorities = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    authorities
        .map(|der| {
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic fails the test, as it should")]

    use std::sync::Arc;

    use aws_sdk_cloudwatch::error::DisplayErrorContext;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    #[test]
    fn mozillas_authorities_can_be_read_back() {
        let pem = mozillas();
        let read: Vec<CertificateDer<'_>> =
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, webpki_root_certs::TLS_SERVER_ROOT_CERTS);
        assert!(read.iter().any(|der| String::from_utf8_lossy(der).contains("Amazon Root CA 1")));
    }

    /// A server that nobody vouches for.
    async fn impostor() -> u16 {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = TlsAcceptor::from(Arc::new(config.clone())).accept(stream).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn whom_none_of_them_vouches_for_is_not_trusted() {
        let endpoint = format!("https://localhost:{}", impostor().await);
        let config = aws_sdk_cloudwatch::Config::builder()
            .behavior_version_latest()
            .http_client(trusting_mozillas())
            .endpoint_url(endpoint)
            .region(aws_sdk_cloudwatch::config::Region::new("eu-central-1"))
            .credentials_provider(aws_credential_types::Credentials::new(
                "AKID", "secret", None, None, "test",
            ))
            .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
            .build();
        let refused =
            aws_sdk_cloudwatch::Client::from_conf(config).describe_alarms().send().await.unwrap_err();
        let why = DisplayErrorContext(&refused).to_string();
        assert!(why.contains("UnknownIssuer"), "{why}");
    }
}
