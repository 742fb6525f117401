//! The way of a request: recognised, authenticated, met by a fault, throttled, validated, run, logged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use super::{Answer, admin};
use crate::auth::{self, Credential};
use crate::calls::{Call, Outcome};
use crate::clock::Clock;
use crate::error::ApiError;
use crate::faults::{self, Fault, FaultKind, Faults};
use crate::hold::{Hold, Holds};
use crate::model::Models;
use crate::operations;
use crate::operations::sts::{Caller, Keys};
use crate::state::World;
use crate::throttle::Throttle;
use crate::validate;
use crate::wire::{self, Target};

/// Calls without credentials name no Region.
const NO_REGION: &str = "us-east-1";

/// Everything that the double is, apart from its socket.
pub(crate) struct Core {
    models: &'static Models,
    throttled: bool,
    inner: Mutex<Inner>,
    /// Told when a call is held.
    held: Notify,
}

pub(crate) struct Inner {
    pub(crate) clock: Clock,
    pub(crate) world: World,
    pub(crate) keys: Keys,
    pub(crate) faults: Faults,
    pub(crate) calls: Vec<Call>,
    pub(crate) holds: Holds,
    throttle: Throttle,
    requests: u64,
}

impl Core {
    pub(crate) fn new(
        models: &'static Models,
        throttled: bool,
        clock: Clock,
        world: World,
        keys: Keys,
    ) -> Self {
        let inner = Inner {
            clock,
            world,
            keys,
            faults: Faults::default(),
            calls: Vec::new(),
            holds: Holds::default(),
            throttle: Throttle::default(),
            requests: 0,
        };
        Self { models, throttled, inner: Mutex::new(inner), held: Notify::new() }
    }

    /// A test that panicked while it looked at the state doesn't take the double with it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until a call is held.
    pub(crate) async fn held(&self) {
        loop {
            let told = self.held.notified();
            if !self.lock().holds.is_empty() {
                return;
            }
            told.await;
        }
    }

    pub(crate) fn answer(&self, parts: &Parts, body: Result<Bytes, ApiError>) -> Answer {
        self.run(parts, body, false)
    }

    /// Goes on with a call that was held before anything of it was done.
    pub(crate) fn resume(&self, parts: &Parts, body: Result<Bytes, ApiError>) -> Answer {
        self.run(parts, body, true)
    }

    fn run(&self, parts: &Parts, body: Result<Bytes, ApiError>, was_held: bool) -> Answer {
        if let Some(path) = parts.uri.path().strip_prefix("/_double/") {
            return Answer::Response(admin::answer(&mut self.lock(), &parts.method, path, body));
        }
        let request_id = self.lock().request_id();
        let (body, unread) = match body {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        let target = match wire::recognise(self.models, parts, &body) {
            Ok(target) => target,
            Err(not) => {
                let error = unread.unwrap_or(not.error);
                return Answer::Response(wire::refuse(not.protocol, not.model, &error, &request_id));
            }
        };
        let refuse = |error: &ApiError| {
            Answer::Response(wire::refuse(target.protocol, target.model, error, &request_id))
        };
        let credential = match credential(&target, parts) {
            Ok(credential) => credential,
            Err(error) => return refuse(&error),
        };
        let request = unread.map_or_else(|| target.decode(parts, &body), Err);
        let (ending, hold) = self.lock().call(&target, credential, request, self.throttled, was_held);
        if hold.is_some() {
            self.held.notify_waiters();
        }
        let answer = match ending {
            Ending::Output(output) => match target.encode(&output, &request_id) {
                Ok(response) => Answer::Response(response),
                Err(error) => refuse(&error),
            },
            Ending::Refused(error) => refuse(&error),
            Ending::Dropped | Ending::NotBegun => Answer::Close,
        };
        match (hold, answer) {
            (Some(hold), Answer::Response(response)) => Answer::Held(hold, Some(response)),
            (Some(hold), _) => Answer::Held(hold, None),
            (None, answer) => answer,
        }
    }
}

/// Who calls, if the operation wants to know.
fn credential(target: &Target<'_>, parts: &Parts) -> Result<Credential, ApiError> {
    if target.operation.anonymous {
        return Ok(Credential {
            access_key: String::new(),
            region: NO_REGION.to_owned(),
            service: target.model.signing_name.clone(),
        });
    }
    let credential = auth::credential(parts)?;
    if credential.service == target.model.signing_name {
        return Ok(credential);
    }
    Err(ApiError::new(
        "SignatureDoesNotMatch",
        format!("Credential should be scoped to correct service: '{}'.", target.model.signing_name),
    ))
}

enum Ending {
    Output(Value),
    Refused(ApiError),
    Dropped,
    /// Held before anything was done: it comes again.
    NotBegun,
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn request_id(&mut self) -> String {
        self.requests += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.requests)
    }

    fn call(
        &mut self,
        target: &Target<'_>,
        credential: Credential,
        request: Result<Value, ApiError>,
        throttled: bool,
        was_held: bool,
    ) -> (Ending, Option<Hold>) {
        let now = self.now();
        let caller = self.keys.caller(&credential.access_key, now);
        let fault = if caller.expired {
            None
        } else {
            self.faults.meet(&target.model.signing_name, &target.operation.name, was_held)
        };
        if fault == Some(FaultKind::HoldBefore) {
            return (Ending::NotBegun, Some(self.holds.hold()));
        }
        let logged = request.as_ref().cloned().unwrap_or_default();
        let (ending, outcome) = self.outcome(target, &caller, &credential.region, request, throttled, fault);
        self.calls.push(Call {
            service: target.model.signing_name.clone(),
            operation: target.operation.name.clone(),
            account: caller.account,
            region: credential.region,
            access_key: credential.access_key,
            role: caller.role,
            at: now,
            request: logged,
            outcome,
        });
        (ending, (fault == Some(FaultKind::HoldAfter)).then(|| self.holds.hold()))
    }

    fn outcome(
        &mut self,
        target: &Target<'_>,
        caller: &Caller,
        region: &str,
        request: Result<Value, ApiError>,
        throttled: bool,
        fault: Option<FaultKind>,
    ) -> (Ending, Outcome) {
        let name = &target.operation.name;
        let refused = |error: ApiError| {
            let told = error.wire(target.model);
            (Ending::Refused(error), Outcome::Error { code: told.code, status: told.status })
        };
        if caller.expired {
            return refused(faults::expired());
        }
        let service = target.model.signing_name.as_str();
        if let Some(error) =
            fault.and_then(|kind| kind.refusal(target.model, target.operation, &caller.principal))
        {
            return refused(error);
        }
        if throttled && !self.throttle.admit((service, name), &caller.account, region, self.clock.waited()) {
            return refused(faults::throttled(target.operation));
        }
        if fault == Some(FaultKind::DropBefore) {
            return (Ending::Dropped, Outcome::Dropped { applied: false });
        }
        let lag = match fault {
            Some(FaultKind::Lag(lag)) => Some(lag),
            _ => None,
        };
        let result = request.and_then(|request| {
            validate::check(target.model, target.operation, &request)?;
            let answer = self.run(target, caller, region, request, lag);
            answer.map_err(|error| error.modelled_by(target.operation))
        });
        match result {
            result if fault == Some(FaultKind::DropAfter) => {
                (Ending::Dropped, Outcome::Dropped { applied: result.is_ok() })
            }
            Ok(output) => (Ending::Output(output), Outcome::Ok),
            Err(error) => refused(error),
        }
    }

    fn run(
        &mut self,
        target: &Target<'_>,
        caller: &Caller,
        region: &str,
        request: Value,
        lag: Option<SignedDuration>,
    ) -> Result<Value, ApiError> {
        let now = self.now();
        let name = target.operation.name.clone();
        let service = target.model.signing_name.clone();
        if service == "sts" {
            return self.keys.run(&name, caller, request, now);
        }
        if target.operation.reads() {
            return operations::run(&service, &name, self.world.seen(&caller.account, region, now), request);
        }
        let write = move |region: &mut crate::state::Region| {
            operations::run(&service, &name, region, request.clone())
        };
        self.world.write((&caller.account, region), now, lag, write)
    }

    pub(crate) fn inject(&mut self, fault: Fault) {
        self.faults.inject(fault);
    }

    /// Moves the clock, and lets what would have happened on the way happen.
    pub(crate) fn advance(&mut self, by: SignedDuration) {
        // Alarms are evaluated once a minute; a long way is gone in a thousand steps at most.
        let step = (by / 1_000).max(SignedDuration::from_secs(60));
        let mut left = by;
        while left > SignedDuration::ZERO {
            let stride = left.min(step);
            self.clock.advance(stride);
            left = left.saturating_sub(stride);
            let now = self.now();
            self.world.tick(now);
        }
    }
}
