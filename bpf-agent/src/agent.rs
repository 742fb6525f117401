//! The agent's main loop: it drains the ring buffer, closes windows at their ends and hands them on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewatch_records::{Name, NodeFigures, jsonl};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cgroup;
use crate::clock::WindowClock;
use crate::conntrack::{self, Translations};
use crate::export::{ExportError, Exporter, Outbox, Target};
use crate::flows::{ClosedWindow, Flows};
use crate::kernel::{Kernel, KernelError, ObjectMemory};
use crate::metrics::Metrics;
use crate::node::NodeReader;
use crate::options::Options;
use crate::probe;
use crate::resolve::Resolver;
use crate::server::{self, Liveness, wall_clock};

/// Interval at which the ring buffer is drained. The kernel wakes the agent earlier only when the buffer is half full.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit for delivering the last window to the collector when the agent is told to end.
const FLUSH_LIMIT: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Cgroup(#[from] cgroup::CgroupError),
    #[error(transparent)]
    Probe(#[from] probe::ProbeError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("could not write to standard output: {0}")]
    Stdout(io::Error),
    #[error("could not listen for signals: {0}")]
    Signals(io::Error),
    #[error("could not wait for the ring buffer: {0}")]
    Ring(io::Error),
    #[error("could not read the host's name (name the node with --node): {0}")]
    Hostname(io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(options: Options) -> Result<(), AgentError> {
    let ending = EndSignals::listen()?;
    let root = cgroup::root(options.cgroup.as_deref())?;
    let features = probe::probe()?;
    let node = node_name(&options)?;
    let metrics = Arc::new(Metrics::new());
    let liveness = Arc::new(Liveness::new(options.window_seconds()));
    let outbox = start_exporter(&options, &node, &metrics)?;
    let mut memory = ObjectMemory::uninit();
    let kernel = Kernel::start(&mut memory, root.id, &features)?;
    let serving = server::serve(options.listen, metrics.clone(), liveness.clone());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "could not serve /metrics and /healthz");
        }
    });
    let mut agent = Agent {
        kernel,
        clock: WindowClock::starting_at(wall_clock(), options.window_seconds()),
        flows: Flows::new(),
        resolver: Resolver::new(),
        node: NodeReader::start(),
        reporter: Name::from(node.as_str()),
        stdout: options.stdout,
        outbox,
        metrics,
        liveness,
        conntrack_failing: false,
    };
    tracing::info!(
        node, cgroup = %root.path.display(), cgroup_id = root.id, total_rto = features.total_rto,
        window_seconds = options.window_seconds(), "watching"
    );
    agent.watch(ending).await
}

/// SIGTERM and SIGINT, which ask the agent to end in order. They are listened for before anything else is done: until
/// then either one ends the process at once, and the window that has begun is lost.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    fn listen() -> Result<Self, AgentError> {
        let listen = |kind| signal(kind).map_err(AgentError::Signals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the first of them, also one that came earlier.
    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn node_name(options: &Options) -> Result<String, AgentError> {
    match &options.node {
        Some(node) => Ok(node.clone()),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .map_err(AgentError::Hostname),
    }
}

fn start_exporter(
    options: &Options,
    node: &str,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Outbox>>, AgentError> {
    let Some(url) = &options.collector else { return Ok(None) };
    let path = |path: &Option<PathBuf>| path.clone();
    let target = Target {
        url: url.clone(),
        ca: path(&options.collector_ca),
        token: path(&options.token),
        gzip: options.gzip,
        node: node.to_owned(),
        window: options.window,
    };
    let outbox = Arc::new(Outbox::new(metrics.clone()));
    let exporter = Exporter::new(target, outbox.clone(), metrics.clone())?;
    tokio::spawn(exporter.run());
    Ok(Some(outbox))
}

struct Agent<'object> {
    kernel: Kernel<'object>,
    clock: WindowClock,
    flows: Flows,
    resolver: Resolver,
    node: NodeReader,
    reporter: Name,
    stdout: bool,
    outbox: Option<Arc<Outbox>>,
    metrics: Arc<Metrics>,
    liveness: Arc<Liveness>,
    conntrack_failing: bool,
}

impl Agent<'_> {
    async fn watch(&mut self, mut ending: EndSignals) -> Result<(), AgentError> {
        let wake = self.kernel.wake().map_err(AgentError::Ring)?;
        loop {
            let left = self.clock.remaining(wall_clock());
            tokio::select! {
                () = ending.received() => break,
                woken = wake.readable() => {
                    woken.map_err(AgentError::Ring)?.clear_ready();
                    self.drain()?;
                }
                () = tokio::time::sleep(left.min(DRAIN_INTERVAL)) => self.drain()?,
            }
            if self.clock.remaining(wall_clock()).is_zero() {
                self.close_window()?;
                self.clock.advance(wall_clock());
            }
        }
        tracing::info!("ending: sending the window so far");
        self.drain()?;
        self.close_window()?;
        self.flush().await;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), AgentError> {
        let arrived = self.kernel.drain()?;
        for _ in 0..arrived.unreadable {
            self.flows.add_unreadable();
        }
        let now = Instant::now();
        for event in arrived.events {
            self.resolver.take(event, now, &mut self.flows, &self.kernel);
        }
        self.flows.add_buffer_full(self.kernel.newly_buffer_full());
        if self.resolver.is_due(now) {
            self.settle();
        }
        Ok(())
    }

    /// Ends the window. Connections that have ended by now belong to it; then every open socket is read.
    fn close_window(&mut self) -> Result<(), AgentError> {
        self.drain()?;
        self.ask_open_sockets()?;
        self.settle();
        let (start, seconds) = (self.clock.start(), self.clock.seconds());
        let mut window = self.flows.close(start, seconds, &self.reporter);
        window.node = self.read_node();
        self.note(&window);
        if self.stdout {
            print(&window).map_err(AgentError::Stdout)?;
        }
        if let Some(outbox) = &self.outbox {
            outbox.push(window);
        }
        Ok(())
    }

    fn ask_open_sockets(&mut self) -> Result<(), AgentError> {
        let begun = Instant::now();
        let mut reports = Vec::new();
        let mut unreadable = 0u64;
        self.kernel.open_sockets(|event| match event {
            Some(event) => reports.push(event),
            None => unreadable += 1,
        })?;
        self.metrics.pass_seconds.set(begun.elapsed().as_secs_f64());
        for _ in 0..unreadable {
            self.flows.add_unreadable();
        }
        for event in reports {
            self.resolver.take(event, begun, &mut self.flows, &self.kernel);
        }
        Ok(())
    }

    fn read_node(&mut self) -> Option<NodeFigures> {
        let begun = Instant::now();
        let figures = self.node.next_window();
        self.metrics.node_read_seconds.set(begun.elapsed().as_secs_f64());
        self.metrics.set_node(&figures.unwrap_or_default());
        figures
    }

    fn settle(&mut self) {
        if self.resolver.is_empty() {
            return;
        }
        let translations = self.translations();
        self.resolver.settle(&translations, &mut self.flows, &self.kernel);
    }

    /// Reads connection tracking. Where that fails, remotes keep the address that was dialled, and the first of several
    /// failures in a row is logged.
    fn translations(&mut self) -> Translations {
        match conntrack::dump() {
            Ok(translations) => {
                self.conntrack_failing = false;
                self.metrics.conntrack_entries.set(i64::try_from(translations.len()).unwrap_or(i64::MAX));
                translations
            }
            Err(error) => {
                self.metrics.conntrack_failures.inc();
                if !std::mem::replace(&mut self.conntrack_failing, true) {
                    tracing::warn!(%error, "Services' addresses can't be resolved to their backends");
                }
                Translations::default()
            }
        }
    }

    fn note(&self, window: &ClosedWindow) {
        self.metrics.windows.inc();
        self.metrics.flows.set(i64::try_from(window.rows.len()).unwrap_or(i64::MAX));
        self.metrics.add_accounting(&window.accounting);
        self.metrics.set_costs(&self.kernel.costs());
        self.liveness.beat();
    }

    async fn flush(&self) {
        let Some(outbox) = &self.outbox else { return };
        if tokio::time::timeout(FLUSH_LIMIT, outbox.flushed()).await.is_err() {
            tracing::warn!(limit = ?FLUSH_LIMIT, "the collector didn't take the last window in time");
        }
    }
}

fn print(window: &ClosedWindow) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for row in &window.rows {
        jsonl::write_flow(&mut out, &window.record(row))?;
    }
    if let Some(node) = window.node_record() {
        jsonl::write_node(&mut out, &node)?;
    }
    jsonl::write_accounting(&mut out, &window.accounting)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{self, Signal};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_before_it_is_waited_for_counts() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut ending = EndSignals::listen().unwrap();
            signal::raise(signal).unwrap();
            let received = tokio::time::timeout(Duration::from_secs(30), ending.received());
            received.await.unwrap_or_else(|_| panic!("{signal} was lost"));
        }
    }
}
