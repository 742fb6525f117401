//! Making faults and healing them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{ActiveFault, Direction, Fault, FaultId, Loss, conntrack, rules};
use crate::cgroup;
use crate::cluster;
use crate::command::Cmd;
use crate::error::{Error, Result};
use crate::http;
use crate::lab::Lab;
use crate::netns;
use crate::network::remote_link;
use crate::plan::remote_part;
use crate::process::pids_below;
use crate::relay::control;
use crate::state::{FaultRecord, Place};

/// The port at which a pod of `tidewatch-shop` takes orders.
const SHOP_ADMIN_PORT: u16 = 9900;

/// One thing to do at one place.
enum Step {
    Rules(Place, String),
    /// A link whose packets are to be lost one by one rather than by the stream segment.
    Segment(Place, String),
    Shop(Place),
    /// A namespace whose connection-tracking table is to be full.
    Conntrack(Place),
}

impl Step {
    fn place(&self) -> &Place {
        match self {
            Self::Rules(place, _) | Self::Segment(place, _) | Self::Shop(place) | Self::Conntrack(place) => {
                place
            }
        }
    }
}

/// Begins a fault.
pub(crate) fn begin(lab: &Lab, fault: Fault) -> Result<FaultId> {
    validate(lab, &fault)?;
    let id = lab.directory().update(|state| {
        state.faults_begun += 1;
        FaultId(format!("f{}", state.faults_begun))
    })?;
    let steps = steps(lab, &id, &fault)?;
    let mut places: Vec<Place> = Vec::new();
    for step in &steps {
        if !places.contains(step.place()) {
            places.push(step.place().clone());
        }
    }
    let record =
        FaultRecord { active: ActiveFault { id: id.clone(), fault, since: jiff::Timestamp::now() }, places };
    // Noted before it is made: if this process is killed in between, `heal` finds it.
    lab.directory().update(|state| state.faults.push(record.clone()))?;
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = perform(lab, step) {
            // A step that failed has changed nothing; those before it are undone. What can't be stays listed, for `heal`.
            let made: Vec<&Place> = steps.iter().take(done).map(Step::place).collect();
            lab.directory().update(|state| {
                let own = state.faults.iter_mut().filter(|r| r.active.id == id);
                own.for_each(|r| r.places.retain(|p| made.contains(&p)));
            })?;
            let _ = end(lab, &id);
            return Err(error);
        }
    }
    if let Err(error) = set_links(lab, None) {
        let _ = end(lab, &id);
        return Err(error);
    }
    Ok(id)
}

/// Ends a fault; none of that name is no error.
pub(crate) fn end(lab: &Lab, id: &FaultId) -> Result<()> {
    let state = lab.directory().load()?;
    let Some(record) = state.faults.into_iter().find(|r| r.active.id == *id) else { return Ok(()) };
    for place in &record.places {
        undo(lab, id, place)?;
    }
    set_links(lab, Some(id))?;
    lab.directory().update(|state| state.faults.retain(|r| r.active.id != *id))
}

/// The file of the network namespace that a place's name stands for: a node, `NAMESPACE/POD`, `remote-NAME`, `router` or `cp`.
pub(crate) fn namespace_of(lab: &Lab, place: &str) -> Result<PathBuf> {
    if let Ok((namespace, name)) = super::namespaced(place) {
        let pod = cluster::pod(lab.kubectl_command(), &namespace, &name)?;
        if pod.host_network {
            return Ok(netns::path(&lab.plan().netns(&pod.node)));
        }
        return pod_namespace(lab, &pod.node, &pod.uid)?
            .ok_or_else(|| Error::Invalid(format!("pod {place} has no running process")));
    }
    let path = netns::path(&lab.plan().netns(place));
    if path.exists() {
        return Ok(path);
    }
    let nodes: Vec<&str> = lab.nodes().iter().map(|n| n.name.as_str()).collect();
    Err(Error::Invalid(format!(
        "{place:?} is no place in this lab: write a node ({}), NAMESPACE/POD, remote-NAME, router or cp",
        nodes.join(", ")
    )))
}

fn validate(lab: &Lab, fault: &Fault) -> Result<()> {
    let plan = lab.plan();
    let zone = |name: &String| match plan.zone_number(name) {
        Some(_) => Ok(()),
        None => Err(Error::Invalid(format!("zone {name:?}: this lab has zone-1 to zone-{}", plan.zones))),
    };
    let some = |loss: Loss| {
        let lost = loss.per_million() > 0;
        if lost {
            Ok(())
        } else {
            Err(Error::Invalid("a fault without loss: write --loss, such as 2%".into()))
        }
    };
    let node = |name: &String| match plan.node(name) {
        Some(_) => Ok(()),
        None => {
            let names: Vec<&str> = plan.nodes.iter().map(|n| n.name.as_str()).collect();
            Err(Error::Invalid(format!("node {name:?}: this lab has {}", names.join(", "))))
        }
    };
    match fault {
        Fault::ZoneLink { a, b, loss, delay, .. } => {
            zone(a)?;
            zone(b)?;
            if a == b {
                return Err(Error::Invalid(format!("{a} twice: a link joins two different zones")));
            }
            if delay.is_zero() { some(*loss) } else { Ok(()) }
        }
        Fault::Node { node: name, loss } | Fault::Connections { node: name, loss, .. } => {
            node(name).and_then(|()| some(*loss))
        }
        Fault::ConntrackFull { node: name } => node(name),
        Fault::Remote { remote, loss } => match plan.remote(remote) {
            Some(_) => some(*loss),
            None => {
                let names: Vec<&str> = plan.remotes.iter().map(|r| r.name.as_str()).collect();
                Err(Error::Invalid(format!("remote {remote:?}: this lab has {}", names.join(", "))))
            }
        },
        Fault::Pod { loss, .. } => some(*loss),
        Fault::Block { .. } | Fault::Refuse { .. } | Fault::Overload { .. } => Ok(()),
    }
}

fn steps(lab: &Lab, id: &FaultId, fault: &Fault) -> Result<Vec<Step>> {
    let plan = lab.plan();
    let named = |what: &str| Place::Netns(plan.netns(what));
    let both_ends = |inner: Place, outer: Place, outer_device: &str, loss: Loss| {
        vec![
            Step::Rules(outer, rules::loss(id, outer_device, loss)),
            Step::Rules(inner, rules::loss(id, "eth0", loss)),
        ]
    };
    match fault {
        Fault::ZoneLink { .. } => Ok(vec![]),
        Fault::Node { node, loss } => Ok(both_ends(named(node), named("router"), node, *loss)),
        Fault::Connections { node, loss, direction } => {
            let inbound = Step::Rules(named(node), rules::lose_requests(id, "eth0", *loss));
            let outbound = Step::Rules(named("router"), rules::lose_requests(id, node, *loss));
            Ok(match direction {
                Direction::Inbound => vec![inbound],
                Direction::Outbound => vec![outbound],
                Direction::Both => vec![inbound, outbound],
            })
        }
        Fault::ConntrackFull { node } => Ok(vec![Step::Conntrack(Place::Conntrack(plan.netns(node)))]),
        Fault::Remote { remote, loss } => {
            Ok(both_ends(named(&remote_part(remote)), named("router"), &remote_link(remote), *loss))
        }
        Fault::Pod { namespace, pod, loss } => {
            let facts = cluster::pod(lab.kubectl_command(), namespace, pod)?;
            if facts.host_network {
                return Err(Error::Invalid(format!(
                    "pod {namespace}/{pod} is on its node's network and has no link of its own: use `fault node {}`",
                    facts.node
                )));
            }
            let outer = named(&facts.node);
            let inner = Place::Pod { node: facts.node.clone(), uid: facts.uid };
            let device = device_towards(&plan.netns(&facts.node), facts.address.into())?;
            let mut steps = vec![
                Step::Segment(inner.clone(), "eth0".into()),
                Step::Segment(outer.clone(), device.clone()),
            ];
            steps.extend(both_ends(inner, outer, &device, *loss));
            Ok(steps)
        }
        Fault::Block { namespace, service } => {
            let backends = cluster::backends(lab.kubectl_command(), namespace, service)?;
            let targets: BTreeSet<_> =
                backends.iter().flat_map(|b| b.ports.iter().map(|port| (b.address, *port))).collect();
            let script = rules::block(id, &targets);
            Ok(plan.nodes.iter().map(|n| Step::Rules(named(&n.name), script.clone())).collect())
        }
        Fault::Refuse { namespace, service } => {
            let backends = cluster::backends(lab.kubectl_command(), namespace, service)?;
            let step = |b: cluster::Backend| {
                let script = rules::refuse(id, &b.ports);
                Step::Rules(Place::Pod { node: b.node, uid: b.uid }, script)
            };
            Ok(backends.into_iter().map(step).collect())
        }
        Fault::Overload { namespace, service } => {
            let backends = cluster::backends(lab.kubectl_command(), namespace, service)?;
            let step = |b: cluster::Backend| {
                Step::Shop(Place::Shop { node: b.node, uid: b.uid, address: b.address.into() })
            };
            Ok(backends.into_iter().map(step).collect())
        }
    }
}

fn perform(lab: &Lab, step: &Step) -> Result<()> {
    match step {
        Step::Rules(place, script) => nft(&place_namespace(lab, place)?, script),
        Step::Segment(place, device) => Cmd::new("ip")
            .args(["link", "set", "dev", device, "gso_max_segs", "1"])
            .netns(place_namespace(lab, place)?)
            .run()
            .map(drop),
        Step::Shop(place) => shop(lab, place, "/admin/overload"),
        Step::Conntrack(place) => conntrack::fill(&place_namespace(lab, place)?),
    }
}

fn undo(lab: &Lab, id: &FaultId, place: &Place) -> Result<()> {
    match place {
        Place::Netns(name) => nft(&netns::path(name), &rules::undo(id)),
        Place::Conntrack(name) => conntrack::empty(&netns::path(name)),
        Place::Pod { node, uid } => match pod_namespace(lab, node, uid)? {
            Some(path) => nft(&path, &rules::undo(id)),
            None => Ok(()),
        },
        Place::Shop { node, uid, .. } if pod_namespace(lab, node, uid)?.is_none() => Ok(()),
        Place::Shop { .. } => shop(lab, place, "/admin/normal"),
    }
}

/// Tells the relay what all zone-link faults together make, but for `without`.
fn set_links(lab: &Lab, without: Option<&FaultId>) -> Result<()> {
    let state = lab.directory().load()?;
    if state.plan.zones < 2 {
        return Ok(());
    }
    let active = state.faults.iter().map(|r| &r.active).filter(|a| Some(&a.id) != without);
    let settings = control::settings(&state.plan, active.map(|a| &a.fault));
    control::send(&lab.directory().relay_socket(), &settings).map(drop)
}

fn place_namespace(lab: &Lab, place: &Place) -> Result<PathBuf> {
    match place {
        Place::Netns(name) | Place::Conntrack(name) => Ok(netns::path(name)),
        Place::Pod { node, uid } => pod_namespace(lab, node, uid)?
            .ok_or_else(|| Error::Invalid(format!("the pod of UID {uid} on {node} has no running process"))),
        Place::Shop { node, .. } => Ok(netns::path(&lab.plan().netns(node))),
    }
}

/// A pod's namespace is that of any process in its cgroup.
fn pod_namespace(lab: &Lab, node: &str, uid: &str) -> Result<Option<PathBuf>> {
    let Some(cgroup) = cgroup::of_pod(lab.plan(), node, uid) else { return Ok(None) };
    Ok(pids_below(&cgroup).first().map(|pid| netns::of_process(*pid)))
}

fn nft(netns: &std::path::Path, script: &str) -> Result<()> {
    Cmd::new("nft").args(["-f", "-"]).input(script).netns(netns).run().map(drop)
}

/// The node's link to a pod.
fn device_towards(netns: &str, address: IpAddr) -> Result<String> {
    let output = Cmd::new("ip").args(["-n", netns, "route", "get", &address.to_string()]).run()?;
    let mut words = output.stdout.split_whitespace().skip_while(|w| *w != "dev");
    match words.nth(1) {
        Some(device) => Ok(device.to_owned()),
        None => Err(Error::Invalid(format!("no link to {address} in {netns}: {}", output.stdout.trim()))),
    }
}

fn shop(lab: &Lab, place: &Place, path: &str) -> Result<()> {
    let Place::Shop { node, address, .. } = place else { return Ok(()) };
    let address = std::net::SocketAddr::new(*address, SHOP_ADMIN_PORT);
    let netns = netns::path(&lab.plan().netns(node));
    let refused = |said: String| {
        Error::Invalid(format!("{said}, from {node}: only pods of tidewatch-shop have this fault"))
    };
    let answer = http::ask(&netns, "POST", address, path, "").map_err(|error| refused(error.to_string()))?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(refused(format!("http://{address}{path} answered {}", answer.status)))
}
