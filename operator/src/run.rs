//! The operator: waits until it leads, then runs the watches, the collector and the controllers for as long as it does.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use kube::Client;
use tidewatch_agent_fleet::{self as agents, Fleet};
use tidewatch_anomaly_alarm::{self as anomaly_alarm, AlarmMetrics};
use tidewatch_aws::{Aws, CallMetrics, PublishMetrics, Publisher, SdkConfig, Tuning, load_config};
use tidewatch_canary as canary;
use tidewatch_cluster::{Cluster, Remotes, WatchConfig};
use tidewatch_collector::{self as collector, Collector};
use tidewatch_embedded::ProbeMetrics;
use tidewatch_evaluation::{Memories, Registry};
use tidewatch_kube::backoff::{Backoff, jitter, until_done};
use tidewatch_kube::leader::{Candidate, Held, Leadership, Timing};
use tidewatch_kube::passes::PassMetrics;
use tidewatch_kube::readiness::Readiness;
use tidewatch_kube::reconcile::ErrorClass;
use tidewatch_kube::watch_health::WatchHealth;
use tidewatch_managed::AwsPolicy;
use tidewatch_network_monitor::{self as network_monitor, NetworkMonitorMetrics, Policy};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::baselines::{self, Shelf};
use crate::config::Args;
use crate::recording;
use crate::server;
use crate::telemetry::{self, Metrics};

/// Name of the Lease.
pub(crate) const LEASE: &str = "tidewatch-operator";
/// How often the Service is made to point here again.
const ENDPOINT_CHECK: Duration = Duration::from_secs(60);
/// Between tries of what agents wait for.
const COLLECTOR_BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
/// Before this replica leads again after a part of it has failed.
const FAILED_TERM_BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(120) };
/// A part that fails after a term longer than this fails for the first time.
const LONG_TERM: Duration = Duration::from_secs(600);
/// Memories of engines that may wait to be written.
const KEPT_QUEUE: usize = 4;
/// How long the leader's tasks may take to end.
const WIND_DOWN: Duration = Duration::from_secs(4);

/// Runs until SIGTERM or SIGINT.
pub async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::install_logs(&args.log_level, args.log_format)?;
    let stop = stop_on_signal()?;
    let operator = Operator::new(args).await?;
    let metrics = operator.metrics.clone();
    server::start(operator.args.http_listen(), metrics, operator.readiness.clone(), stop.clone()).await?;
    operator.serve(&stop).await
}

fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopped.cancel();
    });
    Ok(stop)
}

struct Operator {
    args: Args,
    client: Client,
    policy: Policy,
    remotes: Remotes,
    metrics: Metrics,
    passes: PassMetrics,
    monitor_metrics: NetworkMonitorMetrics,
    collector_metrics: collector::Metrics,
    recording_metrics: recording::Metrics,
    aws_policy: AwsPolicy,
    alarm_metrics: AlarmMetrics,
    aws_calls: CallMetrics,
    publish_metrics: PublishMetrics,
    canary_policy: canary::Policy,
    probe_metrics: ProbeMetrics,
    aws_config: SdkConfig,
    readiness: Readiness,
    watches: WatchHealth,
}

impl Operator {
    async fn new(args: Args) -> anyhow::Result<Self> {
        let policy = args.policy()?;
        let remotes = args.load_remotes()?;
        let aws_policy = args.load_aws()?;
        let canary_policy = args.load_canary()?;
        let config = kube::Config::infer().await.context("find the API server")?;
        let client = Client::try_from(config).context("set up the API client")?;
        let metrics = Metrics::default();
        let passes = PassMetrics::default();
        metrics.register(|registry| passes.register(registry));
        let monitor_metrics = metrics.register(network_monitor::register);
        let collector_metrics = collector::Metrics::default();
        metrics.register(|registry| collector_metrics.register(registry));
        let recording_metrics = recording::Metrics::default();
        metrics.register(|registry| recording_metrics.register(registry));
        let (alarm_metrics, aws_calls) = (AlarmMetrics::default(), CallMetrics::default());
        let publish_metrics = PublishMetrics::default();
        metrics.register(|registry| {
            alarm_metrics.register(registry);
            aws_calls.register(registry);
            publish_metrics.register(registry);
        });
        let probe_metrics = ProbeMetrics::default();
        metrics.register_with_plain(|own, plain| probe_metrics.register(own, plain));
        let watches = WatchHealth::default();
        metrics.register(|registry| watches.register(registry));
        let aws_config = load_config(aws_policy.region.clone(), aws_policy.enabled).await;
        Ok(Self {
            args,
            client,
            policy,
            remotes,
            metrics,
            passes,
            monitor_metrics,
            collector_metrics,
            recording_metrics,
            aws_policy,
            alarm_metrics,
            aws_calls,
            publish_metrics,
            canary_policy,
            probe_metrics,
            aws_config,
            readiness: Readiness::new(watches.clone()),
            watches,
        })
    }

    /// Leads whenever it can, until `stop`.
    async fn serve(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        self.wait_for_api_server(stop).await;
        let candidate = Candidate {
            namespace: self.args.namespace.clone(),
            lease: LEASE.to_owned(),
            owner: agents::TEMPLATE_CONFIG_MAP.to_owned(),
            identity: format!("{}_{:08x}", self.args.instance(), process_tag()),
            timing: Timing::default(),
        };
        let mut failed_terms = 0_u32;
        while !stop.is_cancelled() {
            tracing::info!(identity = candidate.identity, "waiting for the lease");
            let Some(held) = candidate.acquire(&self.client, stop).await else { break };
            tracing::info!(identity = candidate.identity, "leading");
            let begun = Instant::now();
            let Some(held) = self.lead(&candidate, held, stop).await else { continue };
            candidate.release(&self.client, held).await;
            // The lease is free, so that it is ours again at once: not before what failed has had time to mend.
            failed_terms = if begun.elapsed() > LONG_TERM { 1 } else { failed_terms.saturating_add(1) };
            let pause = FAILED_TERM_BACKOFF.delay(ErrorClass::Retry, failed_terms, jitter());
            tokio::select! {
                () = tokio::time::sleep(pause.unwrap_or(FAILED_TERM_BACKOFF.cap)) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Ready means that the API server answers: a standby is as ready as the leader.
    async fn wait_for_api_server(&self, stop: &CancellationToken) {
        let mut said = false;
        loop {
            match tokio::time::timeout(Duration::from_secs(5), self.client.apiserver_version()).await {
                Ok(Ok(version)) => {
                    tracing::info!(version = version.git_version, "the API server answers");
                    self.readiness.set(true);
                    return;
                }
                Ok(Err(error)) if !said => tracing::warn!(%error, "the API server doesn't answer yet"),
                Err(_) if !said => tracing::warn!("the API server doesn't answer yet"),
                _ => {}
            }
            said = true;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// One term. Returns the lease if it is ours still, with all that wrote under it ended.
    async fn lead(&self, candidate: &Candidate, mut held: Held, stop: &CancellationToken) -> Option<Held> {
        let leadership = Leadership { lost: CancellationToken::new() };
        // Ends the term's tasks, for whichever reason.
        let end = leadership.lost.child_token();
        let mut tasks = JoinSet::new();
        let (memories, shelf) = baselines::load(&self.client, &self.args.namespace).await;
        self.start(&leadership, memories, shelf, &end, &mut tasks);
        let keeping = candidate.keep(&self.client, &mut held, &leadership, stop);
        tokio::select! {
            () = keeping => {}
            ended = tasks.join_next() => report(ended),
        }
        end.cancel();
        // The lease is renewed no more: all must end before it runs out.
        let wound_down = tokio::time::timeout(WIND_DOWN, async {
            while let Some(ended) = tasks.join_next().await {
                report(Some(ended));
            }
        });
        if wound_down.await.is_err() {
            tracing::warn!("ending tasks that didn't end by themselves");
            tasks.shutdown().await;
        }
        let lost = leadership.lost.is_cancelled();
        leadership.lost.cancel();
        (!lost).then_some(held)
    }

    fn start(
        &self,
        leadership: &Leadership,
        memories: Memories,
        shelf: Shelf,
        end: &CancellationToken,
        tasks: &mut JoinSet<anyhow::Result<()>>,
    ) {
        let (client, namespace) = (self.client.clone(), self.args.namespace.clone());
        let cluster = Cluster::default();
        let (keeper, kept) = mpsc::channel(KEPT_QUEUE);
        let mut registry =
            Registry::remembering(self.collector_metrics.evaluation.clone(), memories, Some(keeper));
        if let Some(settings) = self.args.recording() {
            let (recorder, judged) = mpsc::channel(recording::QUEUE);
            registry = registry.recorded_by(recorder);
            let recording = recording::record(settings, self.recording_metrics.clone(), judged);
            // Ends by itself, after the engines. Whatever becomes of it, the term goes on.
            tokio::spawn(recording);
        }
        let (fleet, fleet_seen) = watch::channel(Fleet::default());

        // Ends by itself, after the engines.
        let keeping = baselines::keep(client.clone(), namespace.clone(), leadership.clone(), shelf, kept);
        tasks.spawn(async move {
            keeping.await;
            Ok(())
        });

        let watching = WatchConfig {
            namespace: namespace.clone(),
            agent_service_account: self.args.agent_service_account.clone(),
        };
        let watches = self.watches.clone();
        let watching =
            tidewatch_cluster::watch(client.clone(), watching, cluster.clone(), watches.clone(), end.clone());
        tasks.spawn(async move {
            watching.await;
            Ok(())
        });

        tasks.spawn(collect(
            client.clone(),
            self.collector_config(),
            self.args.pod_ip,
            cluster.clone(),
            registry.clone(),
            watches.clone(),
            end.clone(),
        ));

        let agents =
            agents::run(client.clone(), namespace, fleet, leadership.clone(), watches.clone(), end.clone());
        tasks.spawn(async move {
            agents.await;
            Ok(())
        });

        let alarms = anomaly_alarm::run(
            anomaly_alarm::Dependencies {
                client: client.clone(),
                policy: self.aws_policy.clone(),
                leadership: leadership.clone(),
                passes: self.passes.clone(),
                instance: self.args.instance(),
                metrics: self.alarm_metrics.clone(),
                calls: self.aws_calls.clone(),
                config: self.aws_config.clone(),
                watches: watches.clone(),
            },
            end.clone(),
        );
        tasks.spawn(async move {
            alarms.await;
            Ok(())
        });

        tasks.spawn(canary::run(
            canary::Dependencies {
                client: client.clone(),
                policy: self.canary_policy.clone(),
                leadership: leadership.clone(),
                passes: self.passes.clone(),
                instance: self.args.instance(),
                metrics: self.probe_metrics.clone(),
                aws_policy: self.aws_policy.clone(),
                calls: self.aws_calls.clone(),
                config: self.aws_config.clone(),
                watches: watches.clone(),
            },
            end.clone(),
        ));

        let dependencies = network_monitor::Dependencies {
            client,
            cluster: cluster.clone(),
            registry,
            policy: self.policy.clone(),
            fleet: fleet_seen,
            leadership: leadership.clone(),
            passes: self.passes.clone(),
            instance: self.args.instance(),
            metrics: self.monitor_metrics.clone(),
            publisher: self.aws_policy.enabled.then(|| self.publisher(end)),
            cluster_name: self.aws_policy.cluster_name.clone(),
            watches: watches.clone(),
        };
        let end = end.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = network_monitor::until_known(&cluster, &watches) => {}
                () = end.cancelled() => return Ok(()),
            }
            network_monitor::run(dependencies, end).await;
            Ok(())
        });
    }

    /// It reads nothing, so that nobody is woken.
    fn publisher(&self, end: &CancellationToken) -> Publisher {
        let (wake, _) = futures::channel::mpsc::unbounded();
        let tuning = Tuning::every(self.aws_policy.resync);
        let aws = Aws::new(self.aws_config.clone(), self.aws_calls.clone(), tuning, wake, end.clone());
        Publisher::start(aws, self.publish_metrics.clone(), end.clone())
    }

    fn collector_config(&self) -> collector::Config {
        collector::Config {
            listen: self.args.collector_listen(),
            namespace: self.args.namespace.clone(),
            agent_service_account: self.args.agent_service_account.clone(),
            remotes: self.remotes.clone(),
            limits: collector::Limits::within(self.args.memory_bytes),
            metrics: self.collector_metrics.clone(),
        }
    }
}

/// Runs the collector, and keeps the agents' Service pointed at it. While it can't start (its Secret is gone, say),
/// everything else goes on.
async fn collect(
    client: Client,
    config: collector::Config,
    pod_ip: Option<IpAddr>,
    cluster: Cluster,
    registry: Registry,
    health: WatchHealth,
    end: CancellationToken,
) -> anyhow::Result<()> {
    let namespace = config.namespace.clone();
    let started = until_done("the collector can't start", COLLECTOR_BACKOFF, &end, || {
        let (cluster, registry) = (cluster.clone(), registry.clone());
        Collector::start(client.clone(), config.clone(), cluster, registry, &health, end.clone())
    });
    let Some(collector) = started.await else { return Ok(()) };
    let port = collector.address().port();
    if pod_ip.is_none() {
        tracing::warn!("TIDEWATCH_POD_IP isn't set: the Service tidewatch-collector isn't pointed here");
    }
    let mut check = tokio::time::interval(ENDPOINT_CHECK);
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            _ = check.tick() => {}
        }
        let Some(pod_ip) = pod_ip else { continue };
        let what = "couldn't point the Service tidewatch-collector here";
        until_done(what, COLLECTOR_BACKOFF, &end, || {
            collector::publish_endpoint(&client, &namespace, pod_ip, port)
        })
        .await;
    }
    collector.ended().await;
    Ok(())
}

fn report(ended: Option<Result<anyhow::Result<()>, tokio::task::JoinError>>) {
    match ended {
        Some(Ok(Err(error))) => {
            tracing::error!(error = format!("{error:#}"), "a part of the operator failed")
        }
        Some(Err(error)) if error.is_panic() => tracing::error!(%error, "a part of the operator panicked"),
        _ => {}
    }
}

/// Tells this process from its predecessors in the same pod.
fn process_tag() -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 32 bits")]
    let tag = (tidewatch_kube::backoff::jitter() * f64::from(u32::MAX)) as u32;
    tag
}
