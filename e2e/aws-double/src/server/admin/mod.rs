//! The admin API under `/_double/`, for clients that aren't Rust.
//!
//! | | |
//! |---|---|
//! | `GET calls` | the log |
//! | `DELETE calls` | empties it |
//! | `POST inject` | a fault: `{"operation": "PutMetricAlarm", "times": 2, "kind": "Throttle"}` |
//! | `DELETE faults` | forgets those that wait |
//! | `POST let-go` | calls that a fault holds go on |
//! | `POST advance` | moves the clock: `{"by": "PT3H"}` |
//! | `GET state` | alarms, detectors, mute rules and canaries of every account and Region |
//! | `POST alarm-state` | `{"account", "region", "alarm", "state", "reason", "reasonData"}` |
//! | `POST canary-runs` | `{"account", "region", "canary", "outcome": "TimeOut", "duration": "PT3S", "times": 2}` |
//! | `POST canary-update-fails` | `{"account", "region", "canary", "reason", "rolledBack"}` |
//! | `POST role` | `{"account", "region", "role", "assumable": false, "from"}` |
//! | `POST network` | `{"account", "region", "id": "subnet-1", "usable": false}` |
//! | `POST object` | `{"account", "region", "bucket", "key", "content": base64}`; answers with its version |
//! | `POST runtime` | `{"account", "region", "VersionName", "Description", "ReleaseDate", "DeprecationDate"}` |
//! | `POST canary-settings` | `{"account", "region", "delay": "PT0S", "quota": 3}` |
//! | `GET provisioned` | functions, layers and log groups that exist |

mod synthetics;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::dispatch::Inner;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::state::{Alarm, AlarmState, Region};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    by: SignedDuration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetState {
    account: String,
    region: String,
    alarm: String,
    state: AlarmState,
    #[serde(default)]
    reason: String,
    reason_data: Option<String>,
}

pub(super) fn answer(
    inner: &mut Inner,
    method: &Method,
    path: &str,
    body: Result<Bytes, ApiError>,
) -> Response<Bytes> {
    let body = body.unwrap_or_default();
    let canaries = synthetics::answer(inner, method.as_str(), path, &body);
    let result = canaries.unwrap_or_else(|| match (method.as_str(), path) {
        ("GET", "calls") => serde_json::to_value(&inner.calls).map_err(|error| error.to_string()),
        ("DELETE", "calls") => {
            inner.calls.clear();
            Ok(Value::Null)
        }
        ("POST", "inject") => parse::<Fault>(&body).map(|fault| {
            inner.inject(fault);
            Value::Null
        }),
        ("DELETE", "faults") => {
            inner.faults.clear();
            Ok(Value::Null)
        }
        ("POST", "let-go") => {
            inner.holds.let_go();
            Ok(Value::Null)
        }
        ("POST", "advance") => parse::<Advance>(&body).map(|advance| {
            inner.advance(advance.by);
            json!({"now": inner.now()})
        }),
        ("GET", "state") => {
            let now = inner.now();
            inner.world.tick(now);
            Ok(json!({"now": now, "regions": inner.world.regions().map(shown).collect::<Vec<_>>()}))
        }
        ("POST", "alarm-state") => parse::<SetState>(&body).and_then(|set| {
            let now = inner.now();
            let region = inner.world.truth(&set.account, &set.region, now);
            let done = region.set_state(&set.alarm, set.state, &set.reason, set.reason_data.as_deref());
            done.map(|()| Value::Null).map_err(|error| error.to_string())
        }),
        (method, path) => Err(format!("there is no {method} {path}")),
    });
    let (status, body) = match result {
        Ok(Value::Null) => (StatusCode::NO_CONTENT, Bytes::new()),
        Ok(value) => (StatusCode::OK, value.to_string().into()),
        Err(message) => (StatusCode::BAD_REQUEST, json!({"error": message}).to_string().into()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn shown(region: &Region) -> Value {
    let alarm = |alarm: &Alarm| {
        let mut shown = alarm.described();
        shown.insert("Type".to_owned(), alarm.kind().into());
        shown.insert("Tags".to_owned(), json!(alarm.tags));
        shown
    };
    json!({
        "account": region.account,
        "region": region.name,
        "alarms": region.alarms.values().map(alarm).collect::<Vec<_>>(),
        "detectors": region.detectors.values().map(crate::operations::detectors::described).collect::<Vec<_>>(),
        "muteRules": region.mute_rules.values().map(|rule| json!({
            "name": rule.name,
            "alarmNames": rule.alarm_names,
            "schedule": rule.schedule,
            "status": rule.status(region.now),
        })).collect::<Vec<_>>(),
        "canaries": region.synthetics.canaries.values().map(|it| synthetics::shown(it, region)).collect::<Vec<_>>(),
        "metrics": region.metrics.series.len(),
    })
}
