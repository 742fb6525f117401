//! Runs one engine off the async threads, and has what it learned kept.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tidewatch_health::Memory;
use tokio::sync::{mpsc, watch};

use super::judge::{Judge, Key, MakeJudge};
use super::{ClusterWindow, Evaluation, Judged, Metrics};

/// When what was learned is first worth keeping, and how often from then on. Each is one write to the API server.
const KEEP_AFTER: SignedDuration = SignedDuration::from_mins(15);
const KEEP_EVERY: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct Worker {
    pub(super) make_judge: Arc<MakeJudge>,
    pub(super) key: Key,
    pub(super) evaluations: watch::Sender<Option<Arc<Evaluation>>>,
    pub(super) metrics: Metrics,
    pub(super) keeper: Option<mpsc::Sender<(Key, Memory)>>,
    pub(super) recorder: Option<mpsc::Sender<Judged>>,
}

impl Worker {
    /// Until nobody sends windows any more.
    pub(super) async fn run(self, mut windows: mpsc::Receiver<Arc<ClusterWindow>>) {
        let mut judge = None;
        let mut keep_at = None;
        while let Some(window) = windows.recv().await {
            let judging = judge.take().unwrap_or_else(|| (self.make_judge)(self.key));
            judge = self.judge(judging, window.clone()).await;
            if *keep_at.get_or_insert(later(window.start, KEEP_AFTER)) <= window.start {
                keep_at = Some(later(window.start, KEEP_EVERY));
                self.keep(judge.as_deref().and_then(Judge::memory)).await;
            }
        }
        self.keep(judge.as_deref().and_then(Judge::memory)).await;
    }

    /// Has the window judged and the verdict told. The judge comes back unless it panicked.
    async fn judge(&self, mut judge: Box<dyn Judge>, window: Arc<ClusterWindow>) -> Option<Box<dyn Judge>> {
        let judged = window.clone();
        let began = std::time::Instant::now();
        let result = tokio::task::spawn_blocking(move || {
            let verdict = judge.judge(&judged);
            (judge, verdict)
        })
        .await;
        self.metrics.seconds.observe(began.elapsed().as_secs_f64());
        match result {
            Ok((judge, verdict)) => {
                let evaluation = Arc::new(Evaluation { window, verdict });
                self.record(&evaluation);
                self.evaluations.send_replace(Some(evaluation));
                Some(judge)
            }
            Err(error) => {
                self.metrics.panics.inc();
                tracing::error!(
                    %error, start = %window.start, engine = %self.key,
                    "the engine panicked; it starts afresh with the next window"
                );
                None
            }
        }
    }

    fn record(&self, evaluation: &Arc<Evaluation>) {
        let Some(recorder) = &self.recorder else { return };
        if recorder.try_send((self.key, evaluation.clone())).is_err() {
            self.metrics.unrecorded.inc();
            tracing::warn!(start = %evaluation.window.start, engine = %self.key, "a judged window isn't recorded");
        }
    }

    async fn keep(&self, memory: Option<Memory>) {
        let (Some(keeper), Some(memory)) = (&self.keeper, memory) else { return };
        // Without a keeper the operator is ending already.
        let _ = keeper.send((self.key, memory)).await;
    }
}

fn later(start: Timestamp, by: SignedDuration) -> Timestamp {
    start.checked_add(by).unwrap_or(Timestamp::MAX)
}
