//! The nftables scripts of the faults: one table each, so that healing is deleting it.
//!
//! Loss is a drop where a packet enters (the `netdev` family's ingress), at both ends of a link: for the protocol stacks it never
//! was on the wire. A drop on the way out would be seen by the sender as an error of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::{FaultId, Loss};

/// Loses what enters by `device`.
pub(crate) fn loss(id: &FaultId, device: &str, loss: Loss) -> String {
    lose(id, device, "", loss)
}

/// Loses connection requests that enter by `device`.
pub(crate) fn lose_requests(id: &FaultId, device: &str, loss: Loss) -> String {
    lose(id, device, "tcp flags & (syn|ack) == syn ", loss)
}

fn lose(id: &FaultId, device: &str, which: &str, loss: Loss) -> String {
    let table = table(id);
    // `numgen` gives numbers below the modulus, and nft refuses to compare with the modulus itself.
    let lost = match loss.per_million() {
        1_000_000.. => String::new(),
        share => format!("numgen random mod 1000000 < {share} "),
    };
    format!(
        "table netdev {table} {{\n chain lose {{\n  type filter hook ingress device \"{device}\" priority 0;\n  \
         {which}{lost}counter drop\n }}\n}}\n"
    )
}

/// Drops connection requests to these pods where they are forwarded.
pub(crate) fn block(id: &FaultId, targets: &BTreeSet<(Ipv4Addr, u16)>) -> String {
    let table = table(id);
    let mut elements = String::new();
    for (address, port) in targets {
        let separator = if elements.is_empty() { "" } else { ", " };
        let _ = write!(elements, "{separator}{address} . {port}");
    }
    format!(
        "table inet {table} {{\n set targets {{ type ipv4_addr . inet_service; elements = {{ {elements} }}; }}\n chain block {{\n  \
         type filter hook forward priority -10;\n  \
         ip daddr . tcp dport @targets tcp flags & (syn|ack) == syn counter drop\n }}\n}}\n"
    )
}

/// Answers connection requests to these ports by RST, in the namespace of the pod that has them.
pub(crate) fn refuse(id: &FaultId, ports: &BTreeSet<u16>) -> String {
    let table = table(id);
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    format!(
        "table inet {table} {{\n chain refuse {{\n  type filter hook input priority -10;\n  \
         tcp dport {{ {} }} tcp flags & (syn|ack) == syn counter reject with tcp reset\n }}\n}}\n",
        ports.join(", ")
    )
}

/// Removes whatever a fault has put into a namespace; no error if there is nothing.
pub(crate) fn undo(id: &FaultId) -> String {
    let table = table(id);
    // `add` before `delete`, since deleting what isn't there is an error (`destroy` needs a newer nft).
    ["netdev", "inet"].iter().fold(String::new(), |text, family| {
        format!("{text}add table {family} {table}\ndelete table {family} {table}\n")
    })
}

fn table(id: &FaultId) -> String {
    format!("tidewatch_{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_in_millionths_at_the_ingress_of_the_device() {
        let script = loss(&"f1".into(), "eth0", Loss::ratio(0.005));
        assert!(script.contains("table netdev tidewatch_f1"));
        assert!(script.contains("hook ingress device \"eth0\""));
        assert!(script.contains("mod 1000000 < 5000 counter drop"));
        assert!(loss(&"f1".into(), "eth0", Loss::ratio(1.0)).contains("priority 0;\n  counter drop"));
    }

    #[test]
    fn of_a_nodes_connections_only_the_requests_are_lost() {
        let script = lose_requests(&"f1".into(), "eth0", Loss::ratio(0.3));
        let rule = "tcp flags & (syn|ack) == syn numgen random mod 1000000 < 300000 counter drop";
        assert!(script.contains(rule), "{script}");
    }

    #[test]
    fn only_connection_requests_are_blocked_or_refused() {
        let targets =
            BTreeSet::from([(Ipv4Addr::new(198, 18, 1, 2), 80), (Ipv4Addr::new(198, 18, 2, 2), 80)]);
        let script = block(&"f2".into(), &targets);
        assert!(script.contains("198.18.1.2 . 80, 198.18.2.2 . 80"), "{script}");
        assert!(script.contains("(syn|ack) == syn counter drop"));
        let script = refuse(&"f3".into(), &BTreeSet::from([80, 443]));
        assert!(
            script
                .contains("tcp dport { 80, 443 } tcp flags & (syn|ack) == syn counter reject with tcp reset"),
            "{script}"
        );
    }
}
