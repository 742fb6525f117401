//! `tidewatch-lab`: a real multi-node Kubernetes on one machine, and faults in its network.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidewatch_lab::fault::{Direction, delay, namespaced};
use tidewatch_lab::{
    DEFAULT_NAME, Error, Fault, FaultId, ImageSpec, Lab, Loss, Options, Progress, Result, Status,
};

#[derive(Parser)]
#[command(name = "tidewatch-lab", about, version)]
struct Cli {
    /// Which lab.
    #[arg(long, global = true, default_value = DEFAULT_NAME, env = "TIDEWATCH_LAB_NAME")]
    name: String,
    #[command(subcommand)]
    command: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Start a lab and wait until it is ready.
    Up {
        #[arg(long, default_value_t = 3)]
        zones: u8,
        #[arg(long, default_value_t = 2)]
        nodes_per_zone: u8,
        /// No nodes: etcd, apiserver, controller manager and scheduler alone.
        #[arg(long)]
        control_plane_only: bool,
        /// A host outside the cluster, NAME=198.19.255.N; `dynamodb` and `internet` are there anyway.
        #[arg(long = "remote", value_name = "NAME=ADDRESS", value_parser = remote)]
        remotes: Vec<(String, Ipv4Addr)>,
        /// Seconds that each step may take.
        #[arg(long, default_value_t = 120)]
        step_limit: u64,
    },
    /// Take a lab down, whatever state it is in: nothing of it stays.
    Down,
    /// What runs, which links and which faults; as JSON with --json.
    Status {
        #[arg(long)]
        json: bool,
    },
    /// The names of the labs on this machine.
    List,
    /// Print the path of an administrator's kubeconfig.
    Kubeconfig,
    /// Run kubectl as administrator: `kubectl -- get pods -A`.
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run helm as administrator.
    Helm {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build an image of binaries and import it on all nodes.
    LoadImage {
        /// Such as tidewatch.local/shop:dev.
        image: String,
        /// A binary, at /<file name> in the image with the libraries it needs; the first is the entry point.
        #[arg(long = "binary", required = true)]
        binaries: Vec<PathBuf>,
        /// A file, HOST:DESTINATION.
        #[arg(long = "file", value_parser = file)]
        files: Vec<(PathBuf, String)>,
    },
    /// Make something fail; prints the fault's ID.
    #[command(subcommand)]
    Fault(FaultJob),
    /// End a fault by its ID, or all of them.
    Heal {
        #[arg(default_value = "all")]
        id: String,
    },
    /// Run a command of this machine in a network namespace of the lab: a node, NAMESPACE/POD, remote-NAME, router or cp.
    ExecIn {
        place: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Start a command in an outside host and leave it running; prints its log's path.
    RemoteServe {
        remote: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Build the Kubernetes, Helm and CoreDNS binaries that are missing or out of date.
    BuildTools,
    #[command(hide = true)]
    Relay {
        #[arg(long)]
        zones: u8,
        #[arg(long)]
        socket: PathBuf,
    },
    #[command(hide = true)]
    Proxy {
        #[arg(long)]
        netns: String,
        #[arg(long)]
        target: SocketAddr,
        #[arg(long)]
        port_file: PathBuf,
    },
}

#[derive(Subcommand)]
enum FaultJob {
    /// Lose or delay packets between two zones, in each direction.
    ZoneLink {
        a: String,
        b: String,
        /// Share lost in each direction, such as 2%.
        #[arg(long, default_value = "0%")]
        loss: Loss,
        /// Added to each direction, such as 20ms.
        #[arg(long, value_parser = delay, default_value = "0ms")]
        delay: Duration,
        /// Only from A to B.
        #[arg(long)]
        one_way: bool,
    },
    /// Lose packets from and to a node.
    Node {
        node: String,
        #[arg(long)]
        loss: Loss,
    },
    /// Lose packets from and to a pod.
    Pod {
        #[command(flatten)]
        pod: Namespaced,
        #[arg(long)]
        loss: Loss,
    },
    /// Drop connection requests to a Service's pods, as a security group or NetworkPolicy does.
    Block(Namespaced),
    /// Answer connection requests to a Service's pods by RST, as when its process is down.
    Refuse(Namespaced),
    /// Have a Service of the shop stop accepting.
    Overload(Namespaced),
    /// Lose connection requests from and to a node, and nothing else.
    Connections {
        node: String,
        /// Share of the requests that vanish.
        #[arg(long, default_value = "100%")]
        loss: Loss,
        /// Only those from elsewhere.
        #[arg(long, conflicts_with = "outbound")]
        inbound: bool,
        /// Only those to elsewhere.
        #[arg(long)]
        outbound: bool,
    },
    /// Fill a node's connection-tracking table.
    ConntrackFull { node: String },
    /// Lose packets from and to an outside host.
    Remote {
        remote: String,
        #[arg(long)]
        loss: Loss,
    },
}

#[derive(Args)]
struct Namespaced {
    /// NAMESPACE/NAME.
    // Not `name`: that is the lab's, known to every subcommand.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = namespaced)]
    object: (String, String),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidewatch-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let name = cli.name;
    match cli.command {
        Job::Up { zones, nodes_per_zone, control_plane_only, remotes, step_limit } => {
            let mut options = Options::named(name).zones(zones).nodes_per_zone(nodes_per_zone);
            for (remote, address) in remotes {
                options = options.remote(remote, address);
            }
            options.control_plane_only = control_plane_only;
            options.step_limit = Duration::from_secs(step_limit);
            // A person can look at what failed, and `down` removes it.
            options.keep_failed = true;
            let lab = Lab::up(options)?;
            println!("export KUBECONFIG={}", lab.kubeconfig_path().display());
        }
        Job::Down => Lab::down_by_name(&name)?,
        Job::Status { json } => {
            let status = Lab::attach(&name)?.status()?;
            if json {
                println!("{}", serde_json::json!(status));
            } else {
                print_status(&status);
            }
            let well = status.up && status.components.iter().all(|c| c.runs);
            return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Job::List => Lab::names().iter().for_each(|name| println!("{name}")),
        Job::Kubeconfig => println!("{}", Lab::attach(&name)?.kubeconfig_path().display()),
        Job::Kubectl { arguments } => return become_tool(&Lab::attach(&name)?, "kubectl", &arguments),
        Job::Helm { arguments } => return become_tool(&Lab::attach(&name)?, "helm", &arguments),
        Job::LoadImage { image, binaries, files } => {
            Lab::attach(&name)?.load_image(&ImageSpec { name: image, binaries, files, root: None })?;
        }
        Job::Fault(fault) => println!("{}", Lab::attach(&name)?.fault(fault.into())?),
        Job::Heal { id } => {
            let lab = Lab::attach(&name)?;
            if id == "all" {
                lab.heal_all()?;
            } else {
                let id = FaultId::from(id.as_str());
                if !lab.faults()?.iter().any(|f| f.id == id) {
                    return Err(Error::Invalid(format!(
                        "no fault {id} is on: `tidewatch-lab status` lists those that are"
                    )));
                }
                lab.heal(&id)?;
            }
        }
        Job::ExecIn { place, command } => return exec_in(&Lab::attach(&name)?, &place, &command),
        Job::RemoteServe { remote, command } => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            println!("{}", Lab::attach(&name)?.remote_serve(&remote, &command)?.display());
        }
        Job::BuildTools => {
            tidewatch_lab::debian::root(&Progress::stderr())?;
            println!("{}", tidewatch_lab::tools::build(&Progress::stderr())?.display());
        }
        Job::Relay { zones, socket } => tidewatch_lab::relay::run(zones, &socket)?,
        Job::Proxy { netns, target, port_file } => tidewatch_lab::proxy::run(&netns, target, &port_file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets kubectl or helm take this process's place: its terminal, its signals, its exit status.
fn become_tool(lab: &Lab, tool: &str, arguments: &[String]) -> Result<ExitCode> {
    let source =
        Command::new(lab.binary(tool)).env("KUBECONFIG", lab.kubeconfig_path()).args(arguments).exec();
    Err(Error::System { action: format!("starting {tool}"), source })
}

fn exec_in(lab: &Lab, place: &str, command: &[String]) -> Result<ExitCode> {
    let netns = lab.netns_path(place)?;
    let mut option = std::ffi::OsString::from("--net=");
    option.push(netns);
    let source = Command::new("nsenter").arg(option).arg("--").args(command).exec();
    Err(Error::System { action: "starting nsenter".into(), source })
}

fn print_status(status: &Status) {
    println!("lab {}: {}", status.name, if status.up { "up" } else { "not up" });
    if let Some(port) = status.api_port {
        println!("apiserver: https://127.0.0.1:{port}");
    }
    for component in &status.components {
        let state = if component.runs { "runs" } else { "ENDED" };
        println!("  {:<32} {state:<6} pid {:<8} {}", component.name, component.pid, component.log.display());
    }
    for link in &status.links {
        println!(
            "  zone-{} to zone-{}: {} µs, loss {}%, {} packets, {} lost, {} overflowed",
            link.from,
            link.to,
            link.delay_us,
            f64::from(link.loss_per_million) / 1e4,
            link.forwarded,
            link.lost,
            link.overflowed
        );
    }
    if status.faults.is_empty() {
        println!("no faults");
    }
    for fault in &status.faults {
        println!("fault {}: {} (since {})", fault.id, fault.fault, fault.since);
    }
}

impl From<FaultJob> for Fault {
    fn from(job: FaultJob) -> Self {
        match job {
            FaultJob::ZoneLink { a, b, loss, delay, one_way } => {
                Self::ZoneLink { a, b, loss, delay, one_way }
            }
            FaultJob::Node { node, loss } => Self::Node { node, loss },
            FaultJob::Pod { pod: Namespaced { object: (namespace, pod) }, loss } => {
                Self::Pod { namespace, pod, loss }
            }
            FaultJob::Block(Namespaced { object: (namespace, service) }) => {
                Self::Block { namespace, service }
            }
            FaultJob::Refuse(Namespaced { object: (namespace, service) }) => {
                Self::Refuse { namespace, service }
            }
            FaultJob::Overload(Namespaced { object: (namespace, service) }) => {
                Self::Overload { namespace, service }
            }
            FaultJob::Remote { remote, loss } => Self::Remote { remote, loss },
            FaultJob::Connections { node, loss, inbound, outbound } => {
                let direction = match (inbound, outbound) {
                    (true, _) => Direction::Inbound,
                    (_, true) => Direction::Outbound,
                    (false, false) => Direction::Both,
                };
                Self::Connections { node, loss, direction }
            }
            FaultJob::ConntrackFull { node } => Self::ConntrackFull { node },
        }
    }
}

fn remote(text: &str) -> std::result::Result<(String, Ipv4Addr), String> {
    let wrong = || format!("{text:?}: write NAME=198.19.255.N");
    let (name, address) = text.split_once('=').ok_or_else(wrong)?;
    Ok((name.to_owned(), address.parse().map_err(|_| wrong())?))
}

fn file(text: &str) -> std::result::Result<(PathBuf, String), String> {
    let (from, to) = text.rsplit_once(':').ok_or_else(|| format!("{text:?}: write HOST:DESTINATION"))?;
    Ok((from.into(), to.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn fault(line: &str) -> Fault {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Job::Fault(job) => job.into(),
            _ => panic!("{line} is no fault"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_fault_prints_as_it_was_written() {
        for words in [
            "zone-link zone-1 zone-2 --loss 2% --delay 20ms --one-way",
            "zone-link zone-1 zone-2 --loss 5%",
            "node zone-1-a --loss 5%",
            "pod shop/cart-0 --loss 1%",
            "block shop/cart",
            "refuse shop/cart",
            "overload shop/cart",
            "remote dynamodb --loss 3%",
            "connections zone-1-a --loss 30%",
            "connections zone-1-a --loss 100% --inbound",
            "connections zone-1-a --loss 90% --outbound",
            "conntrack-full zone-1-a",
        ] {
            assert_eq!(fault(&format!("tidewatch-lab fault --name other {words}")).to_string(), words);
        }
    }

    #[test]
    fn tools_get_their_own_options() {
        let cli = Cli::try_parse_from(["tidewatch-lab", "--name", "x", "kubectl", "--", "get", "pods", "-A"])
            .unwrap();
        assert_eq!(cli.name, "x");
        assert!(matches!(cli.command, Job::Kubectl { arguments } if arguments == ["get", "pods", "-A"]));
    }
}
