//! `up`, step by step.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup;
use crate::command::Cmd;
use crate::config;
use crate::control_plane;
use crate::daemon::{Daemon, wait_until};
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::image::{self, COREDNS_IMAGE, ImageSpec};
use crate::netns;
use crate::network;
use crate::node;
use crate::options::{Options, Progress};
use crate::pki;
use crate::plan::{API_PORT, CONTROL_PLANE, Plan};
use crate::process::ProcessId;
use crate::requirements;
use crate::state::{BASE, Condition, Directory, Phase, State};

/// Brings a lab up. On an error whatever was made stays, for `down`.
pub(crate) fn up(options: &Options) -> Result<Plan> {
    let plan = Plan::of(options)?;
    let binaries = requirements::check(options)?;
    let lab_command = requirements::lab_command(options)?;
    let directory = claim(&plan, &binaries)?;
    let up = Up {
        plan: &plan,
        directory: &directory,
        binaries: &binaries,
        lab_command: &lab_command,
        limit: options.step_limit,
        progress: &options.progress,
        start: Instant::now(),
    };
    up.all()?;
    directory.update(|state| {
        state.phase = Phase::Up;
        state.starter = None;
    })?;
    up.say("the lab is up");
    Ok(plan)
}

/// Makes the lab's directory, which only one `up` can.
fn claim(plan: &Plan, binaries: &Path) -> Result<Directory> {
    let directory = Directory::of(&plan.lab);
    fs::create_dir_all(BASE).map_err(Error::file("making", BASE))?;
    match fs::create_dir(directory.path()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(taken(&plan.lab, &directory));
        }
        Err(error) => return Err(Error::file("making", directory.path())(error)),
    }
    let log = directory.join("log");
    fs::create_dir(&log).map_err(Error::file("making", log))?;
    directory.create(&State {
        plan: plan.clone(),
        phase: Phase::Starting,
        starter: ProcessId::own(),
        binaries: binaries.to_owned(),
        api_port: None,
        processes: vec![],
        faults: vec![],
        faults_begun: 0,
    })?;
    Ok(directory)
}

fn taken(lab: &str, directory: &Directory) -> Error {
    match directory.load().map(|state| state.condition()) {
        Ok(Condition::Runs) => Error::AlreadyUp(lab.to_owned()),
        Ok(Condition::Starting(starter)) => being_started(lab, starter),
        Ok(Condition::Ended(component)) => Error::Invalid(format!(
            "lab {lab:?} was up, and its {component} has ended: remove the rest by `tidewatch-lab down --name {lab}`, then try again"
        )),
        Ok(Condition::HalfWay) | Err(_) => Error::Invalid(format!(
            "an `up` of lab {lab:?} ended half-way: remove what it left by `tidewatch-lab down --name {lab}`, then try again"
        )),
    }
}

pub(crate) fn being_started(lab: &str, starter: ProcessId) -> Error {
    Error::Invalid(format!("lab {lab:?} is being started by process {}: wait for it", starter.pid))
}

/// Whether this process began to start the lab and hasn't finished, rather than found it there.
pub(crate) fn half_way_by_us(lab: &str) -> bool {
    let state = Directory::of(lab).load();
    state.is_ok_and(|s| s.phase == Phase::Starting && s.starter == ProcessId::own())
}

struct Up<'a> {
    plan: &'a Plan,
    directory: &'a Directory,
    binaries: &'a Path,
    lab_command: &'a Path,
    limit: Duration,
    progress: &'a Progress,
    start: Instant,
}

impl Up<'_> {
    fn say(&self, line: &str) {
        self.progress.say(format!("{:5.1} s  {line}", self.start.elapsed().as_secs_f64()));
    }

    fn all(&self) -> Result<()> {
        cgroup::create(self.plan)?;
        network::build(self.plan)?;
        let admin = pki::create(self.plan, self.directory)?;
        self.say(&format!(
            "{} network namespaces, links, routes and certificates are made",
            network::all_namespaces(self.plan).len()
        ));
        self.start_relay()?;
        let port = self.start_proxy()?;
        admin.write_kubeconfig(&self.directory.kubeconfig(), &format!("https://127.0.0.1:{port}"))?;
        self.cluster()?;
        if !self.plan.nodes.is_empty() {
            self.wait_nodes()?;
            self.wait_dns()?;
        }
        Ok(())
    }

    /// The control plane and the nodes, all at once: what a node needs from the others it waits for itself.
    fn cluster(&self) -> Result<()> {
        let images = Gate::closed();
        let api = Gate::closed();
        let nodes = node::Start {
            plan: self.plan,
            directory: self.directory,
            binaries: self.binaries,
            images: &images,
            api: &api,
            limit: self.limit,
        };
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let mut threads = vec![
                scope.spawn(|| api.settle(self.control_plane())),
                scope.spawn(|| images.settle(self.images())),
            ];
            for node in &self.plan.nodes {
                let (nodes, this) = (&nodes, self);
                threads.push(scope.spawn(move || {
                    nodes.node(node)?;
                    this.say(&format!("{}: containerd, kubelet and kube-proxy run", node.name));
                    Ok(())
                }));
            }
            let panicked = || Err(Error::Unsupported("a starting thread panicked: this is a bug".into()));
            threads.into_iter().map(|t| t.join().unwrap_or_else(|_| panicked())).collect()
        });
        // The first cause, not those that gave up because of it.
        let mut errors: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(|e| matches!(e, Error::Abandoned(_)));
        errors.into_iter().next().map_or(Ok(()), Err)
    }

    fn control_plane(&self) -> Result<()> {
        let cgroup = cgroup::unified(self.plan, "cp");
        control_plane::start(self.plan, self.directory, self.binaries, &cgroup, self.limit)?;
        if !self.plan.nodes.is_empty() {
            self.create(&config::node_objects(self.plan))?;
            self.create(&config::coredns_objects(self.plan))?;
        }
        self.say("the control plane answers");
        Ok(())
    }

    fn create(&self, objects: &serde_json::Value) -> Result<()> {
        self.kubectl(&["create", "-f", "-", "--validate=false"]).input(objects.to_string()).run().map(drop)
    }

    fn kubectl(&self, arguments: &[&str]) -> Cmd {
        Cmd::new(self.binaries.join("kubectl"))
            .arg_pair("--kubeconfig", self.directory.kubeconfig())
            .args(arguments)
            .limit(self.limit)
    }

    fn images(&self) -> Result<Vec<PathBuf>> {
        if self.plan.nodes.is_empty() {
            return Ok(vec![]);
        }
        let archives = self.directory.join("images");
        fs::create_dir_all(&archives).map_err(Error::file("making", &archives))?;
        Ok(vec![
            image::build_pause(&archives)?,
            ImageSpec::new(COREDNS_IMAGE, self.binaries.join("coredns")).build(&archives)?,
        ])
    }

    fn start_relay(&self) -> Result<()> {
        if self.plan.zones < 2 {
            return Ok(());
        }
        let socket = self.directory.relay_socket();
        let relay = netns::within(&netns::path(&self.plan.netns("router")), || {
            Daemon::new("relay", self.lab_command, cgroup::unified(self.plan, "router"))
                .arg("relay")
                .arg("--zones")
                .arg(self.plan.zones.to_string())
                .arg("--socket")
                .arg(&socket)
                .start(self.directory)
        })??;
        relay.wait_until("the relay's start", self.limit, || {
            crate::relay::control::send(&socket, &[]).map(drop).map_err(|e| e.to_string())
        })
    }

    fn start_proxy(&self) -> Result<u16> {
        let port_file = self.directory.join("api.port");
        let proxy = Daemon::new("proxy", self.lab_command, cgroup::unified(self.plan, "cp"))
            .arg("proxy")
            .arg("--netns")
            .arg(self.plan.netns("cp"))
            .arg("--target")
            .arg(SocketAddr::from((CONTROL_PLANE, API_PORT)).to_string())
            .arg("--port-file")
            .arg(&port_file)
            .start(self.directory)?;
        let mut port = 0;
        proxy.wait_until("the proxy's start", self.limit, || {
            let text = fs::read_to_string(&port_file).map_err(|e| e.to_string())?;
            port = text.parse().map_err(|_| format!("{text:?} for a port"))?;
            Ok(())
        })?;
        self.directory.update(|state| state.api_port = Some(port))?;
        Ok(port)
    }

    fn wait_nodes(&self) -> Result<()> {
        let what = "{range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} {.status.conditions[?(@.type==\"Ready\")].message}{\"\\n\"}{end}";
        let jsonpath = format!("jsonpath={what}");
        wait_until("all nodes ready", self.limit, None, || {
            self.check_processes()?;
            let seen = match self.kubectl(&["get", "nodes", "-o", &jsonpath]).run() {
                Ok(output) => output.stdout,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let unready: Vec<&str> = seen.lines().filter(|l| l.split(' ').nth(1) != Some("True")).collect();
            Ok(if unready.is_empty() { Ok(()) } else { Err(unready.join("; ")) })
        })?;
        self.say(&format!("{} nodes are ready", self.plan.nodes.len()));
        Ok(())
    }

    fn wait_dns(&self) -> Result<()> {
        wait_until("the cluster's DNS available", self.limit, None, || {
            self.check_processes()?;
            let status = [
                "get",
                "deployment",
                "coredns",
                "-n",
                "kube-system",
                "-o",
                "jsonpath={.status.readyReplicas}/{.spec.replicas}",
            ];
            let seen = match self.kubectl(&status).run() {
                Ok(output) => output.stdout,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let met = seen.split_once('/').is_some_and(|(ready, wanted)| ready == wanted);
            Ok(if met { Ok(()) } else { Err(format!("{seen} replicas ready; {}", self.describe_dns())) })
        })?;
        self.say("the cluster's DNS answers");
        Ok(())
    }

    fn describe_dns(&self) -> String {
        let pods = [
            "get",
            "events",
            "-n",
            "kube-system",
            "-o",
            "jsonpath={range .items[*]}{.involvedObject.name}: {.message}{\"\\n\"}{end}",
        ];
        self.kubectl(&pods).run().map_or_else(|e| e.to_string(), |o| crate::command::tail_of(&o.stdout, 3))
    }

    fn check_processes(&self) -> Result<()> {
        let state = self.directory.load()?;
        match state.processes.iter().find(|p| !p.id.alive()) {
            None => Ok(()),
            Some(dead) => Err(Error::Died {
                component: dead.component.clone(),
                log: dead.log.clone(),
                tail: crate::command::tail_of_file(&dead.log, 20),
            }),
        }
    }
}
