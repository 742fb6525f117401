//! One export request: decoded, checked, resolved and kept, with an account of what wasn't.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tidewatch_cluster::{Cluster, Remotes, resolve};
use tidewatch_records::otlp::Decoder;
use tidewatch_records::{FlowWindow, Name, Record};

use super::metrics::Metrics;
use super::reject::Reject;
use super::windows::Windows;

/// Records resolved under one hold of the index, so that a watch waits no longer than about 0.1 ms.
pub(super) const CHUNK: usize = 256;

/// Receives export requests: the index that resolves their records, and the windows that keep them.
#[derive(Debug, Clone)]
pub(super) struct Ingest {
    pub(super) cluster: Cluster,
    pub(super) remotes: Arc<Remotes>,
    pub(super) windows: Arc<Mutex<Windows>>,
    pub(super) metrics: Metrics,
}

/// Numbers of one request's records that were kept and rejected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) kept: u64,
    pub(super) rejected: BTreeMap<Reject, u64>,
    /// The first malformed record's error.
    pub(super) example: Option<String>,
}

impl Outcome {
    fn reject(&mut self, reason: Reject) {
        *self.rejected.entry(reason).or_default() += 1;
    }

    /// The answer in OTLP's form, which is empty unless records were rejected.
    pub(super) fn response(&self) -> ExportLogsServiceResponse {
        let rejected: u64 = self.rejected.values().sum();
        if rejected == 0 {
            return ExportLogsServiceResponse::default();
        }
        let mut message = String::new();
        for (reason, count) in &self.rejected {
            let separator = if message.is_empty() { "" } else { ", " };
            let _ = write!(message, "{separator}{count} {}", reason.as_str());
        }
        if let Some(example) = &self.example {
            let _ = write!(message, " (such as: {example})");
        }
        ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: i64::try_from(rejected).unwrap_or(i64::MAX),
                error_message: message,
            }),
        }
    }
}

impl Ingest {
    /// Takes the records that `node`'s agent sent.
    pub(super) fn take(&self, request: &ExportLogsServiceRequest, node: &Name, now: Timestamp) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome::default();
        let mut decoder = Decoder::new();
        let mut flows = Vec::with_capacity(CHUNK);
        let (mut accountings, mut figures) = (Vec::new(), Vec::new());
        let records = request
            .resource_logs
            .iter()
            .flat_map(|resource| &resource.scope_logs)
            .flat_map(|scope| &scope.log_records);
        for record in records {
            match decode(&mut decoder, record, node, now) {
                Ok(Record::Flow(flow)) => flows.push(flow),
                Ok(Record::Accounting(accounting)) => accountings.push(accounting),
                Ok(Record::Node(node)) => figures.push(node),
                Err((reason, example)) => {
                    outcome.reject(reason);
                    outcome.example = outcome.example.take().or(example);
                }
            }
            if flows.len() == CHUNK {
                self.keep(&mut flows, now, &mut outcome);
            }
        }
        self.keep(&mut flows, now, &mut outcome);
        // The flows of a window are in before the word that they all are.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let figures =
            figures.into_iter().map(|figures| windows.offer_figures(figures, now)).collect::<Vec<_>>();
        let accountings = accountings.into_iter().map(|accounting| windows.account(accounting, now));
        for kept in figures.into_iter().chain(accountings) {
            match kept {
                Ok(()) => outcome.kept += 1,
                Err(reason) => outcome.reject(reason),
            }
        }
        drop(windows);
        self.count(&outcome, began);
        outcome
    }

    fn keep(&self, flows: &mut Vec<FlowWindow>, now: Timestamp, outcome: &mut Outcome) {
        {
            let index = self.cluster.read();
            for flow in flows.iter_mut() {
                resolve(&index, &self.remotes, flow);
            }
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for flow in flows.drain(..) {
            let key = windows.key(&flow);
            match windows.offer(flow, key, now) {
                Ok(()) => outcome.kept += 1,
                Err(reason) => outcome.reject(reason),
            }
        }
    }

    fn count(&self, outcome: &Outcome, began: Instant) {
        self.metrics.received(outcome.kept);
        for (reason, count) in &outcome.rejected {
            self.metrics.rejected(*reason, *count);
        }
        self.metrics.ingest.observe(began.elapsed().as_secs_f64());
    }
}

/// Decodes a record and makes the checks that need neither the index nor the windows.
fn decode(
    decoder: &mut Decoder,
    record: &LogRecord,
    node: &Name,
    now: Timestamp,
) -> Result<Record, (Reject, Option<String>)> {
    let mut record = decoder.decode(record).map_err(|error| (Reject::Malformed, Some(error.to_string())))?;
    let (reporter, start, seconds) = match &mut record {
        Record::Flow(flow) => (&mut flow.reporter, flow.window_start, flow.window_seconds),
        Record::Accounting(a) => (&mut a.reporter, a.window_start, a.window_seconds),
        Record::Node(n) => (&mut n.reporter, n.window_start, n.window_seconds),
    };
    if *reporter != *node {
        return Err((Reject::WrongNode, None));
    }
    // One copy of the name for all of its records.
    *reporter = node.clone();
    Windows::timely(start, seconds, now).map_err(|reason| (reason, None))?;
    Ok(record)
}
