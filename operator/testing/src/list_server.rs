//! An API server that lists and gets what it is given, refuses what it is told to and what the chart doesn't grant, answers
//! SubjectAccessReviews, and keeps statuses. Its watches tell nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use kube::Client;
use serde_json::{Value, json};

use super::granted::Granted;

/// Cheap to clone; all clones are one server.
#[derive(Debug, Clone, Default)]
pub struct ListServer(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// By plural and name.
    objects: BTreeMap<(String, String), Value>,
    refused: BTreeSet<String>,
    refused_watches: BTreeSet<String>,
    granted: Granted,
    /// The client is an administrator's, who may do everything, and not the operator's.
    administers: bool,
    /// Verbs and resources that a SubjectAccessReview denies, such as `list pods`.
    denied: BTreeSet<String>,
    /// Header Date of each answer.
    date: Option<String>,
}

impl ListServer {
    /// One whose client may do everything.
    pub fn for_administrator() -> Self {
        let server = Self::default();
        server.0.lock().unwrap().administers = true;
        server
    }

    /// SubjectAccessReviews say that this may not be done, such as `list pods` or `patch canaries/status`.
    pub fn deny(&self, verb_and_resource: &str) {
        self.0.lock().unwrap().denied.insert(verb_and_resource.to_owned());
    }

    /// Every answer has this header Date.
    pub fn set_date(&self, date: &str) {
        self.0.lock().unwrap().date = Some(date.to_owned());
    }

    pub fn put(&self, plural: &str, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.0.lock().unwrap().objects.insert((plural.to_owned(), name), object);
    }

    /// Lists, watches and reads of this plural are refused.
    pub fn refuse(&self, plural: &str) {
        self.0.lock().unwrap().refused.insert(plural.to_owned());
    }

    /// Watches of this plural are refused, and lists aren't.
    pub fn refuse_watches(&self, plural: &str) {
        self.0.lock().unwrap().refused_watches.insert(plural.to_owned());
    }

    pub fn grant(&self, plural: &str) {
        let mut held = self.0.lock().unwrap();
        held.refused.remove(plural);
        held.refused_watches.remove(plural);
    }

    pub fn status(&self, plural: &str, name: &str) -> Value {
        self.0.lock().unwrap().objects[&(plural.to_owned(), name.to_owned())]["status"].clone()
    }

    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = to_bytes(Body::new(body), usize::MAX).await?;
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let watches = head.uri.query().is_some_and(|query| query.contains("watch=true"));
                let (code, answer) = server.answer(&head.method, head.uri.path(), watches, &body);
                let body = if watches && code == 200 {
                    Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>())
                } else {
                    Body::from(serde_json::to_vec(&answer).unwrap())
                };
                let mut response = Response::new(body);
                *response.status_mut() = StatusCode::from_u16(code).unwrap();
                if let Some(date) = &server.0.lock().unwrap().date {
                    response.headers_mut().insert("date", date.parse().unwrap());
                }
                Ok::<_, tower::BoxError>(response)
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, path: &str, watches: bool, body: &Value) -> (u16, Value) {
        let mut held = self.0.lock().unwrap();
        let segments: Vec<&str> = path.rsplit('/').collect();
        if let [_, plural, ..] = segments.as_slice()
            && is_named(path)
            && held.refused.contains(*plural)
        {
            return forbidden(&format!("{plural} is forbidden: {method} {path}"));
        }
        let granted = held.administers || held.granted.allows(method, path, watches);
        match (method, segments.as_slice()) {
            (_, [plural, ..])
                if !granted
                    || held.refused.contains(*plural)
                    || (watches && held.refused_watches.contains(*plural)) =>
            {
                let verb = if watches { "watch".to_owned() } else { method.to_string() };
                let message = format!("{plural} is forbidden: User \"operator\" cannot {verb} {path}");
                forbidden(&message)
            }
            (&Method::PATCH, ["status", name, plural, ..]) => {
                let object = held.objects.get_mut(&((*plural).to_owned(), (*name).to_owned())).unwrap();
                object["status"] = body["status"].clone();
                (200, object.clone())
            }
            (&Method::POST, ["subjectaccessreviews", ..]) => (201, held.reviewed(body)),
            (&Method::POST, _) => (201, body.clone()),
            (&Method::GET, [name, plural, ..]) if is_named(path) => {
                match held.objects.get(&((*plural).to_owned(), (*name).to_owned())) {
                    Some(object) => (200, object.clone()),
                    None => (
                        404,
                        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": format!("{plural} {name:?} not found")}),
                    ),
                }
            }
            (_, segments) => {
                let plural = segments.first().copied().unwrap_or_default();
                let namespace = match segments {
                    [_, namespace, "namespaces", ..] => Some(*namespace),
                    _ => None,
                };
                let is_there = |object: &Value| {
                    let of = object["metadata"]["namespace"].as_str();
                    of.is_none() || namespace.is_none() || of == namespace
                };
                let items: Vec<&Value> = held
                    .objects
                    .iter()
                    .filter(|((of, _), object)| of == plural && is_there(object))
                    .map(|(_, object)| object)
                    .collect();
                (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
        }
    }
}

impl Held {
    /// The SubjectAccessReview with its answer.
    fn reviewed(&self, review: &Value) -> Value {
        let asked = &review["spec"]["resourceAttributes"];
        let text = |field: &str| asked[field].as_str().unwrap_or_default();
        let slash = if text("subresource").is_empty() { "" } else { "/" };
        let wanted = format!("{} {}{slash}{}", text("verb"), text("resource"), text("subresource"));
        let mut answered = review.clone();
        answered["status"] = json!({"allowed": !self.denied.contains(&wanted)});
        answered
    }
}

fn forbidden(message: &str) -> (u16, Value) {
    (
        403,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message}),
    )
}

/// True for the path of one object.
fn is_named(path: &str) -> bool {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = match segments.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => return false,
    };
    matches!(rest, ["namespaces", _, _, _] | [_, _])
}
