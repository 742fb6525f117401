//! Three network namespaces in a row: a client, the node between (where the agent and its connection tracking are),
//! a server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::command::{require_root, run};

pub const CLIENT: &str = "198.18.1.2";
pub const SERVER: &str = "198.18.2.2";
pub const CLIENT6: &str = "fd00:1::2";
pub const SERVER6: &str = "fd00:2::2";
/// An address that exists nowhere: for NAT, or to go unanswered.
pub const NOWHERE: &str = "198.18.3.3";

/// Removed when dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
}

impl Network {
    /// Makes the namespaces `twk-NAME-{client,node,server}`.
    pub fn new(name: &str) -> Result<Self> {
        require_root()?;
        let network = Self { name: format!("twk-{name}") };
        network.remove();
        let [client, node, server] = ["client", "node", "server"].map(|side| network.namespace(side));
        for namespace in [&client, &node, &server] {
            run(&format!("ip netns add {namespace}"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
        }
        for (namespace, third, last) in [(&client, 1, "client"), (&server, 2, "server")] {
            run(&format!("ip link add uplink netns {namespace} type veth peer name {last} netns {node}"))?;
            run(&format!("ip -n {namespace} addr add 198.18.{third}.2/24 dev uplink"))?;
            run(&format!("ip -n {namespace} addr add fd00:{third}::2/64 dev uplink nodad"))?;
            run(&format!("ip -n {node} addr add 198.18.{third}.1/24 dev {last}"))?;
            run(&format!("ip -n {node} addr add fd00:{third}::1/64 dev {last} nodad"))?;
            run(&format!("ip -n {namespace} link set uplink up"))?;
            run(&format!("ip -n {node} link set {last} up"))?;
            run(&format!("ip -n {namespace} route add default via 198.18.{third}.1"))?;
            run(&format!("ip -n {namespace} -6 route add default via fd00:{third}::1"))?;
        }
        for setting in ["ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1"] {
            network.run_in("node", &format!("sysctl -qw net.{setting}"))?;
        }
        Ok(network)
    }

    /// Full name of the namespace of `client`, `node` or `server`.
    pub fn namespace(&self, side: &str) -> String {
        format!("{}-{side}", self.name)
    }

    /// Prefix of a command line that runs there. It isn't `ip netns exec`, which hides the cgroups.
    pub fn enter(&self, side: &str) -> String {
        format!("nsenter --net=/run/netns/{}", self.namespace(side))
    }

    /// Runs a command there.
    pub fn run_in(&self, side: &str, line: &str) -> Result<String> {
        run(&format!("{} {line}", self.enter(side)))
    }

    /// Adds an nftables rule in the node's namespace, to a chain of its own at `hook` (such as
    /// `filter hook forward priority 0`).
    pub fn rule(&self, chain: &str, hook: &str, rule: &str) -> Result<()> {
        self.run_in("node", "nft add table inet twk")?;
        self.run_in("node", &format!("nft add chain inet twk {chain} {{ type {hook} ; }}"))?;
        self.run_in("node", &format!("nft add rule inet twk {chain} {rule}"))?;
        Ok(())
    }

    /// Waits until the sockets that were closed are gone: those that still wait for the other side's end belong to
    /// no process any more, and are reported when they are destroyed.
    pub fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        for side in ["client", "server"] {
            while let Some(line) = self.run_in(side, "ss -tanHO")?.lines().find(|line| is_ending(line)) {
                ensure!(begun.elapsed() < Duration::from_secs(60), "still there after 60 s: {line}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// Removes all rules.
    pub fn clear_rules(&self) -> Result<()> {
        self.run_in("node", "nft delete table inet twk").map(drop)
    }

    fn remove(&self) {
        for side in ["client", "node", "server"] {
            // Not there is as good as removed.
            let _ = run(&format!("ip netns del {}", self.namespace(side)));
        }
    }
}

fn is_ending(line: &str) -> bool {
    ["FIN-WAIT", "LAST-ACK", "CLOSING", "CLOSE-WAIT"].iter().any(|state| line.starts_with(state))
}

impl Drop for Network {
    fn drop(&mut self) {
        self.remove();
    }
}
