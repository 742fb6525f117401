//! An API server that the collector's benchmark plays: it keeps the collector's TLS Secret and ConfigMap in memory, and answers
//! TokenReviews from a table. All else in the collector is what the operator runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};

/// The audience that agents ask their tokens for.
const AUDIENCE: &str = "tidewatch-collector";
const CA: &str = "/configmaps/tidewatch-collector-ca";

/// Tokens by node, in the form of the API server's but for their signatures.
pub(crate) fn tokens(nodes: &[String]) -> HashMap<String, String> {
    let expires = Timestamp::now().as_second() + 3600;
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let claims = format!(r#"{{"exp":{expires},"aud":["{AUDIENCE}"]}}"#);
    let token = |node: &String| {
        // As long as an RS256 signature.
        let signature = format!("{node:->256}");
        format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(&claims), encode(&signature))
    };
    nodes.iter().map(|node| (node.clone(), token(node))).collect()
}

#[derive(Debug)]
pub(crate) struct ApiServer {
    namespace: String,
    /// User name of the agents' service account.
    user: String,
    /// Nodes by the tokens of their agents.
    nodes: HashMap<String, String>,
    secret: Mutex<Value>,
    /// The authority that agents trust, once the collector has published it.
    ca: Mutex<Value>,
}

impl ApiServer {
    pub(crate) fn new(namespace: &str, service_account: &str, tokens: &HashMap<String, String>) -> Arc<Self> {
        let metadata = |name: &str| json!({"name": name, "namespace": namespace, "resourceVersion": "1"});
        Arc::new(Self {
            namespace: namespace.to_owned(),
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            nodes: tokens.iter().map(|(node, token)| (token.clone(), node.clone())).collect(),
            // As the chart makes them: empty.
            secret: Mutex::new(json!({"metadata": metadata("tidewatch-collector-tls")})),
            ca: Mutex::new(json!({"metadata": metadata("tidewatch-collector-ca")})),
        })
    }

    /// The authority that the collector published, as PEM.
    pub(crate) fn ca(&self) -> String {
        self.ca.lock().unwrap()["data"]["ca.crt"].as_str().unwrap().to_owned()
    }

    pub(crate) fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = Arc::clone(&server);
            async move {
                let (head, body) = request.into_parts();
                let bytes = to_bytes(Body::new(body), usize::MAX).await?;
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                let (code, answer) = server.answer(&head.method, head.uri.path(), body);
                let mut response = Response::new(Body::from(answer.to_string()));
                *response.status_mut() = code;
                Ok::<_, tower::BoxError>(response)
            }
        });
        Client::new(service, &self.namespace)
    }

    fn answer(&self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        if path.ends_with("/tokenreviews") {
            return (StatusCode::CREATED, self.review(&body));
        }
        let is_ca = path.ends_with(CA);
        assert!(is_ca || path.ends_with("/secrets/tidewatch-collector-tls"), "{method} {path}");
        let mut held = if is_ca { self.ca.lock().unwrap() } else { self.secret.lock().unwrap() };
        match *method {
            Method::GET => {}
            Method::PUT | Method::PATCH => held["data"] = body["data"].clone(),
            _ => panic!("{method} {path}"),
        }
        (StatusCode::OK, held.clone())
    }

    fn review(&self, body: &Value) -> Value {
        let node = self.nodes.get(body["spec"]["token"].as_str().unwrap());
        let status = node.map_or_else(
            || json!({"authenticated": false}),
            |node| {
                let extra = json!({"authentication.kubernetes.io/node-name": [node]});
                let user = json!({"username": self.user, "extra": extra});
                json!({"authenticated": true, "audiences": [AUDIENCE], "user": user})
            },
        );
        json!({"metadata": {}, "spec": body["spec"], "status": status})
    }
}
