//! The kernel's own counts, summed over pods.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::pods::Located;

/// Sums of `/proc/net/snmp` and `/proc/net/netstat` over pods, under the kernel's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KernelCounters(BTreeMap<String, u64>);

impl KernelCounters {
    pub(super) fn read(pods: &[Located]) -> anyhow::Result<Self> {
        let mut sums = Self::default();
        for pod in pods {
            sums.add(&pod.proc_net("snmp")?, "Tcp:")?;
            sums.add(&pod.proc_net("netstat")?, "TcpExt:")?;
        }
        Ok(sums)
    }

    /// A file of pairs of lines: names, then values.
    fn add(&mut self, text: &str, group: &str) -> anyhow::Result<()> {
        let mut lines = text.lines().filter(|line| line.starts_with(group));
        let names = lines.next().with_context(|| format!("no names of {group}"))?;
        let values = lines.next().with_context(|| format!("no values of {group}"))?;
        for (name, value) in names.split_whitespace().zip(values.split_whitespace()).skip(1) {
            // MaxConn is -1.
            *self.0.entry(name.to_owned()).or_default() += value.parse().unwrap_or(0);
        }
        Ok(())
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let delta = |(name, value): (&String, &u64)| (name.clone(), value.saturating_sub(before.get(name)));
        Self(self.0.iter().map(delta).collect())
    }

    pub(super) fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_under_the_kernels_names() {
        let text = "Ip: Forwarding\nIp: 1\nTcp: MaxConn ActiveOpens RetransSegs\nTcp: -1 5 7\n";
        let mut sums = KernelCounters::default();
        sums.add(text, "Tcp:").unwrap();
        let before = sums.clone();
        sums.add(text, "Tcp:").unwrap();
        assert_eq!(sums.get("ActiveOpens"), 10);
        assert_eq!(sums.since(&before).get("RetransSegs"), 7);
    }
}
