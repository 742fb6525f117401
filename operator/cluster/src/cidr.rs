//! Longest-prefix lookup.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

/// Values by network. A lookup costs one hash for each distinct prefix length: a handful, as people write CIDRs.
#[derive(Debug, Clone)]
pub struct CidrTable<V> {
    by_length: BTreeMap<u8, HashMap<IpNet, V>>,
}

impl<V> Default for CidrTable<V> {
    fn default() -> Self {
        Self { by_length: BTreeMap::new() }
    }
}

impl<V> CidrTable<V> {
    pub fn insert(&mut self, net: IpNet, value: V) {
        self.by_length.entry(net.prefix_len()).or_default().insert(net.trunc(), value);
    }

    /// `net` is `value`'s no more. Where another has it by now, that keeps it.
    pub fn remove(&mut self, net: &IpNet, value: &V)
    where
        V: PartialEq,
    {
        if let Some(nets) = self.by_length.get_mut(&net.prefix_len()) {
            let net = net.trunc();
            if nets.get(&net) == Some(value) {
                nets.remove(&net);
            }
            if nets.is_empty() {
                self.by_length.remove(&net.prefix_len());
            }
        }
    }

    /// The value of the longest network that has `ip`.
    pub fn get(&self, ip: IpAddr) -> Option<&V> {
        self.by_length
            .iter()
            .rev()
            .find_map(|(length, nets)| nets.get(&IpNet::new(ip, *length).ok()?.trunc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_families_are_apart() {
        let mut table = CidrTable::default();
        for (net, value) in
            [("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3/32", 3), ("::/0", 6), ("fd00::/8", 7)]
        {
            table.insert(net.parse().unwrap(), value);
        }
        for (ip, value) in [
            ("10.9.9.9", Some(1)),
            ("10.1.9.9", Some(2)),
            ("10.1.2.3", Some(3)),
            ("11.0.0.1", None),
            ("2001:db8::1", Some(6)),
            ("fd12::1", Some(7)),
        ] {
            assert_eq!(table.get(ip.parse().unwrap()).copied(), value, "{ip}");
        }
        table.remove(&"10.1.0.0/16".parse().unwrap(), &9);
        assert_eq!(table.get("10.1.9.9".parse().unwrap()), Some(&2), "another has it by now");
        table.remove(&"10.1.0.0/16".parse().unwrap(), &2);
        assert_eq!(table.get("10.1.9.9".parse().unwrap()), Some(&1));
    }
}
