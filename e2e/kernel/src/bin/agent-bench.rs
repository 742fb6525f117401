//! Measures the agent's cost by the kernel's own BPF statistics: `make bench`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prost::Message;
use tidewatch_kernel_tests::agent::Said;
use tidewatch_kernel_tests::bpf_cost::{Cost, Statistics, cost_of, resident_mib};
use tidewatch_kernel_tests::{Agent, Cgroup, Network, Traffic};
use tidewatch_records::Role;
use tidewatch_records::otlp;

const SHORT: u64 = 10_000;
const KEPT: u64 = 100;
const ROUNDS: u64 = 500;
const OPEN: u64 = 20_000;
const PROCESSES: u64 = 10;
const WINDOW: &str = "15s";

fn main() -> Result<()> {
    let network = Network::new("bench")?;
    let (node, elsewhere) = (Cgroup::new("bench")?, Cgroup::new("bench2")?);
    let _statistics = Statistics::enable()?;
    let agent = Agent::start(&network, &node, &["--window", WINDOW])?;
    let mut client = Traffic::start(&network, "client", &node.make("client")?)?;

    let mut server = Traffic::start(&network, "server", &node.make("server")?)?;
    server.tell("listen 198.18.2.2:8080")?;
    after_a_window(&agent)?;
    let short = measure(&agent, || client.tell(&format!("many {SHORT} 198.18.2.2:8080 300 1000")).map(drop))?;
    client.tell(&format!("keep {KEPT} 198.18.2.2:8080"))?;
    after_a_window(&agent)?;
    let requests = measure(&agent, || client.tell(&format!("requests {ROUNDS}")).map(drop))?;
    drop(client);
    drop(server);

    // Only the clients' ends are this node's. Several processes, each with few enough files for a common limit.
    let mut held = Vec::new();
    for n in 0..PROCESSES {
        let mut far = Traffic::start(&network, "server", &elsewhere.make("server")?)?;
        far.tell(&format!("stall 198.18.2.2:{}", 9000 + n))?;
        let mut near = Traffic::start(&network, "client", &node.make("near")?)?;
        near.tell(&format!("keep {} 198.18.2.2:{}", OPEN / PROCESSES, 9000 + n))?;
        held.push((far, near));
    }
    let open = |said: &Said| {
        let last = said.accounting.last().map(|accounting| accounting.window_start);
        let of_last = said.flows.iter().filter(|flow| Some(flow.window_start) == last);
        of_last.map(|flow| flow.connections.open).sum::<u64>() == OPEN
    };
    after(&agent, "all are seen open", open)?;
    let before = cost_of(agent.pid())?;
    after_a_window(&agent)?;
    let edge = cost_of(agent.pid())? - before;
    let rss = resident_mib(agent.pid())?;
    let node_read_us = agent.metric(&network, "tidewatch_agent_node_read_duration_seconds")? * 1e6;
    let said = agent.finish()?;
    let node = said.nodes.last().context("no window has the node's figures")?;
    let node = NodeCost { read_us: node_read_us, bytes: otlp::encode_node(node).encoded_len() };
    report(short, requests, edge, rss, &node, &said)
}

/// Cost of the node's own figures in each window.
struct NodeCost {
    read_us: f64,
    /// Size as OTLP, before compression.
    bytes: usize,
}

/// Waits for the next window to end, so that none ends during the measurement that follows.
fn after_a_window(agent: &Agent) -> Result<()> {
    let windows = agent.said().map_or(0, |said| said.accounting.len());
    after(agent, "a window ends", |said| said.accounting.len() > windows)
}

fn after(agent: &Agent, what: &str, enough: impl Fn(&Said) -> bool) -> Result<()> {
    let begun = Instant::now();
    while !agent.said().is_ok_and(|said| enough(&said)) {
        ensure!(begun.elapsed() < Duration::from_secs(90), "not within 90 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn measure(agent: &Agent, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let before = cost_of(agent.pid())?;
    work()?;
    // The last sockets are destroyed, and the ring is drained within a second.
    std::thread::sleep(Duration::from_millis(1500));
    Ok(cost_of(agent.pid())? - before)
}

fn report(short: Cost, requests: Cost, edge: Cost, rss_mib: f64, node: &NodeCost, said: &Said) -> Result<()> {
    let sockets = (SHORT * 2) as f64;
    let calls = short.runs as f64 / sockets;
    let bpf_ns = short.bpf_ns as f64 / sockets;
    let user_us = short.process_ns as f64 / 1000.0 / sockets;
    let per_request = requests.runs as f64 / (KEPT * ROUNDS) as f64;
    let sum = |of: fn(&tidewatch_records::Accounting) -> u64| said.accounting.iter().map(of).sum::<u64>();
    let reported = sum(|a| a.reported) as f64 / sum(|a| a.seen) as f64;
    let closed = said.sum(Role::Client, |flow| flow.connections.closed);
    ensure!(closed >= SHORT, "only {closed} of {SHORT} short connections were reported as closed");
    println!("{SHORT} short connections, both ends");
    println!("  BPF calls a socket        {calls:>10.3}   target <= 1.1");
    println!("  BPF ns a socket           {bpf_ns:>10.0}   target <= 500");
    println!("  agent's us a socket       {user_us:>10.2}");
    println!("{} requests on {KEPT} open connections", KEPT * ROUNDS);
    println!("  BPF calls a request       {per_request:>10.4}   target 0");
    println!("{OPEN} open connections");
    println!("  resident MiB              {rss_mib:>10.1}   target <= 20");
    println!("  BPF calls a window        {:>10}   one for each open file of the host", edge.runs);
    println!("  BPF ms a window           {:>10.2}", edge.bpf_ns as f64 / 1e6);
    println!("  agent's ms a window       {:>10.2}   the pass included", edge.process_ns as f64 / 1e6);
    println!("the node's own figures, once a window");
    println!("  us to read them           {:>10.0}", node.read_us);
    println!("  bytes to send them        {:>10}", node.bytes);
    println!("share of sockets reported   {reported:>10.4}   target 1");
    println!(
        "BENCH {}",
        serde_json::json!({
            "bench": "agent",
            "bpf_calls_per_socket": round(calls, 3),
            "bpf_ns_per_socket": round(bpf_ns, 0),
            "bpf_calls_per_request": round(per_request, 4),
            "user_us_per_socket": round(user_us, 2),
            "rss_mib": round(rss_mib, 1),
            "node_figures_us_per_window": round(node.read_us, 0),
            "node_figures_bytes_per_window": node.bytes,
            "reported_ratio": round(reported, 4),
        })
    );
    Ok(())
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
