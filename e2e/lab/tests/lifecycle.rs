//! A lab's life: up, real pods with real traffic, faults that show, and down to nothing; and an `up` killed on its way.
//! Needs root, the packages of e2e/apt-packages.txt and the built tools; without them it fails with the sentence that says so.

// A panic is how a test fails; the helper functions below are parts of tests.
#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tidewatch_lab::command::Cmd;
use tidewatch_lab::{Fault, ImageSpec, Lab, Options, Progress, ScopedLab};

const LIMIT: Duration = Duration::from_secs(60);

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  nodeSelector: {topology.kubernetes.io/zone: zone-2}
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "tidewatch.local/socat:dev", args: ["TCP-LISTEN:8080,fork,reuseaddr", "PIPE"]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec: {selector: {app: echo}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeSelector: {topology.kubernetes.io/zone: zone-1}
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "tidewatch.local/socat:dev", args: ["TCP-LISTEN:1,fork", "PIPE"]}]
"#;

/// Starts a lab of a name that only these tests use, after taking down what a run that was killed left of it.
fn start(options: Options) -> ScopedLab {
    Lab::down_by_name(&options.name).unwrap();
    Lab::up(options).unwrap().scoped()
}

fn options(name: &str) -> Options {
    let mut options = Options::named(name).zones(2).nodes_per_zone(1).progress(Progress::stderr());
    options.lab_command = Some(env!("CARGO_BIN_EXE_tidewatch-lab").into());
    options
}

/// What an echo through the address answers, from within the client pod: name resolution, Service, network and `kubectl exec`.
fn echo(lab: &Lab, address: &str) -> tidewatch_lab::Result<String> {
    let target = format!("TCP:{address},connect-timeout=2");
    Cmd::new(lab.binary("kubectl"))
        .arg_pair("--kubeconfig", lab.kubeconfig_path())
        .args(["exec", "-i", "client", "--", "/socat", "-t3", "-T4", "-", &target])
        .input("hello")
        .limit(LIMIT)
        .run()
        .map(|output| output.stdout)
}

/// Waits until the echo answers; a rule of kube-proxy may be a moment behind the Service.
fn echo_until_answered(lab: &Lab, address: &str) {
    let start = Instant::now();
    loop {
        match echo(lab, address) {
            Ok(answer) if answer == "hello" => return,
            seen => assert!(start.elapsed() < LIMIT, "echo by {address}: {seen:?}"),
        }
    }
}

#[test]
fn a_lab_carries_traffic_by_name_across_zones_shows_faults_and_leaves_nothing() {
    let lab = start(options("lifecyc"));
    assert!(Lab::up(options("lifecyc")).unwrap_err().to_string().contains("up already"));
    assert_eq!(Lab::attach("lifecyc").unwrap().nodes().len(), 2);

    lab.load_image(&ImageSpec::new("tidewatch.local/socat:dev", "/usr/bin/socat")).unwrap();
    lab.apply(PODS, LIMIT).unwrap();
    lab.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"], LIMIT * 2).unwrap();
    for node in lab.nodes() {
        assert!(
            lab.node_cgroup(&node.name).join("kubepods").is_dir(),
            "pods of {} are below its cgroup",
            node.name
        );
    }
    echo_until_answered(&lab, "echo.default.svc.cluster.local:80");
    links_between_zones_lose_what_they_are_told_to(&lab);
    a_service_can_be_refused_and_blocked(&lab);
    an_outside_host_has_a_name_and_can_be_lossy(&lab);
    loss_at_nodes_and_pods_is_counted_where_it_happens(&lab);
    what_cannot_be_meant_is_refused(&lab);

    lab.fault(Fault::zone_link("zone-1", "zone-2", 0.05)).unwrap();
    let state = lab.log_directory();
    drop(lab);
    assert_eq!(Lab::leftovers("lifecyc"), Vec::<String>::new());
    assert!(!state.exists());
    assert!(Lab::attach("lifecyc").is_err());
}

fn links_between_zones_lose_what_they_are_told_to(lab: &Lab) {
    let everything = lab.fault(Fault::zone_link_one_way("zone-1", "zone-2", 1.0)).unwrap();
    assert!(echo(lab, "echo:80").is_err(), "a dead link carried a connection");
    let status = lab.status().unwrap();
    assert_eq!(status.faults.len(), 1);
    let link = |from: u8| status.links.iter().find(|l| l.from == from).unwrap().clone();
    assert!(link(1).lost > 0, "{:?}", link(1));
    assert_eq!((link(2).lost, link(2).loss_per_million), (0, 0), "the other direction is untouched");
    lab.heal(&everything).unwrap();
    assert!(lab.faults().unwrap().is_empty());
    echo_until_answered(lab, "echo:80");
}

fn a_service_can_be_refused_and_blocked(lab: &Lab) {
    let refused = lab.fault(Fault::refuse("default", "echo")).unwrap();
    let said = echo(lab, "echo:80").unwrap_err().to_string();
    assert!(said.contains("refused"), "{said}");
    lab.heal(&refused).unwrap();
    let blocked = lab.fault(Fault::block("default", "echo")).unwrap();
    let said = echo(lab, "echo:80").unwrap_err().to_string();
    assert!(said.contains("timed out"), "{said}");
    lab.heal(&blocked).unwrap();
    echo_until_answered(lab, "echo:80");
}

fn an_outside_host_has_a_name_and_can_be_lossy(lab: &Lab) {
    lab.remote_serve("dynamodb", &["socat", "TCP-LISTEN:8000,fork,reuseaddr", "PIPE"]).unwrap();
    echo_until_answered(lab, "dynamodb.remote.lab:8000");
    let dead = lab.fault(Fault::remote("dynamodb", 1.0)).unwrap();
    assert!(echo(lab, "dynamodb.remote.lab:8000").is_err());
    lab.heal(&dead).unwrap();
    echo_until_answered(lab, "dynamodb.remote.lab:8000");
}

fn loss_at_nodes_and_pods_is_counted_where_it_happens(lab: &Lab) {
    let pod = lab.fault(Fault::pod("default", "echo", 1.0)).unwrap();
    assert!(echo(lab, "echo:80").is_err());
    let rules = lab.exec_in("default/echo", &["nft", "list", "ruleset"], LIMIT).unwrap().stdout;
    assert!(rules.contains("ingress device \"eth0\"") && !rules.contains("packets 0 "), "{rules}");
    lab.heal(&pod).unwrap();
    echo_until_answered(lab, "echo:80");
    let node = lab.fault(Fault::node("zone-2-a", 0.5)).unwrap();
    let rules = lab.exec_in("router", &["nft", "list", "ruleset"], LIMIT).unwrap().stdout;
    assert!(rules.contains("device \"zone-2-a\"") && rules.contains("< 500000"), "{rules}");
    lab.heal(&node).unwrap();
    assert_eq!(lab.exec_in("router", &["nft", "list", "ruleset"], LIMIT).unwrap().stdout, "");
}

fn what_cannot_be_meant_is_refused(lab: &Lab) {
    for (fault, says) in [
        (Fault::zone_link("zone-1", "zone-9", 0.1), "zone-1 to zone-2"),
        (Fault::zone_link("zone-1", "zone-1", 0.1), "two different zones"),
        (Fault::node("zone-1-a", 0.0), "--loss"),
        (Fault::node("nowhere", 0.1), "this lab has zone-1-a, zone-2-a"),
        (Fault::remote("nowhere", 0.1), "dynamodb"),
        (Fault::block("default", "nowhere"), "doesn't exist"),
        // A pod of socat isn't one of the shop.
        (Fault::overload("default", "echo"), "tidewatch-shop"),
    ] {
        let said = lab.fault(fault.clone()).unwrap_err().to_string();
        assert!(said.contains(says), "{fault}: {said}");
    }
    assert!(lab.faults().unwrap().is_empty(), "a fault that failed stays on");
}

#[test]
fn an_up_killed_on_its_way_is_taken_down_to_nothing() {
    let directory = Path::new("/var/lib/tidewatch-lab/killed");
    let step = |name: &'static str| move || directory.join(name).exists();
    // At the first trace on disk, with the control plane on its way, and with containers being made.
    let moments: [(&str, &dyn Fn() -> bool); 3] = [
        ("the state file", &step("state.json")),
        ("the apiserver's log", &step("log/kube-apiserver.log")),
        ("a pod's cgroup", &|| {
            let pods = Path::new("/sys/fs/cgroup/unified/tw-killed/zone-1-a/kubepods/besteffort");
            pods.read_dir().is_ok_and(|mut entries| entries.any(|e| e.is_ok_and(|e| e.path().is_dir())))
        }),
    ];
    Lab::down_by_name("killed").unwrap();
    for (moment, reached) in moments {
        let mut up = start_up("killed");
        wait_for(moment, &mut up, reached);
        up.kill().unwrap();
        up.wait().unwrap();
        assert!(!Lab::leftovers("killed").is_empty(), "killed at {moment}");
        let said = Lab::up(options("killed")).unwrap_err().to_string();
        assert!(said.contains("half-way"), "{said}");
        // As the next run of whoever used the name does: what was left isn't taken for a lab, it is taken down.
        assert!(Lab::standing("killed", &Progress::stderr()).unwrap().is_none(), "killed at {moment}");
        assert_eq!(Lab::leftovers("killed"), Vec::<String>::new(), "killed at {moment}");
    }
}

#[test]
fn two_labs_at_once_do_not_meet_and_one_goes_without_the_other() {
    let alone = |name: &str| Options { control_plane_only: true, ..options(name) };
    let first = start(alone("first"));
    let second = start(alone("second"));
    first.kubectl(&["create", "namespace", "only-in-first"], LIMIT).unwrap();
    drop(first);
    assert_eq!(Lab::leftovers("first"), Vec::<String>::new());
    let namespaces = second.kubectl(&["get", "namespaces", "-o", "name"], LIMIT).unwrap().stdout;
    assert!(namespaces.contains("kube-system") && !namespaces.contains("only-in-first"), "{namespaces}");
    assert!(second.status().unwrap().components.iter().all(|c| c.runs));

    // A component that ended, as all do when the machine is restarted, leaves a lab that is up by its files only.
    let standing = || Lab::standing("second", &Progress::stderr()).unwrap();
    assert!(standing().is_some(), "a lab that runs is taken over");
    let component = second.status().unwrap().components.swap_remove(0);
    kill(Pid::from_raw(component.pid), Signal::SIGKILL).unwrap();
    let start = Instant::now();
    while second.status().unwrap().components.iter().all(|c| c.runs) {
        assert!(start.elapsed() < LIMIT, "{} was killed and runs", component.name);
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let said = Lab::up(alone("second")).unwrap_err().to_string();
    assert!(said.contains(&component.name) && said.contains("tidewatch-lab down --name second"), "{said}");
    assert!(standing().is_none());
    assert_eq!(Lab::leftovers("second"), Vec::<String>::new());
}

#[test]
fn options_that_cannot_be_meant_are_refused_before_anything_is_made() {
    let bad = options("bad").remote("x", Ipv4Addr::new(10, 0, 0, 1));
    assert!(Lab::up(bad).unwrap_err().to_string().contains("198.19.255.2"));
    assert_eq!(Lab::leftovers("bad"), Vec::<String>::new());
    assert!(Lab::attach("bad").unwrap_err().to_string().contains("tidewatch-lab up --name bad"));
}

fn start_up(name: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidewatch-lab"))
        .args(["up", "--name", name, "--zones", "1", "--nodes-per-zone", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(what: &str, up: &mut Child, reached: &dyn Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "{what} was not reached");
        assert!(up.try_wait().unwrap().is_none(), "`up` ended before {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
