//! Reads the node's counters at the end of each window.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use tidewatch_records::NodeFigures;

use super::ethtool::Ethtool;
use super::figures::Reading;
use super::{conntrack, parse};

/// The last reading of the counters, with which the next one is compared.
#[derive(Debug)]
pub struct NodeReader {
    /// `None` if no socket could be opened; then the counters of allowances are absent.
    ethtool: Option<Ethtool>,
    last: Reading,
}

impl NodeReader {
    /// Takes the first reading, from which the first window's figures count.
    pub fn start() -> Self {
        let mut ethtool = Ethtool::open().ok();
        let last = read(&mut ethtool);
        if last.cpu_stalled_us.is_none() {
            tracing::info!(
                "this kernel keeps no pressure stall information (CONFIG_PSI, psi=1): whether the node is short of \
                 CPU is judged by its round trips alone"
            );
        }
        Self { ethtool, last }
    }

    /// The figures of the time since the last reading; `None` if this kernel provides none.
    pub fn next_window(&mut self) -> Option<NodeFigures> {
        let now = read(&mut self.ethtool);
        let figures = now.since(&self.last);
        self.last = now;
        Some(figures).filter(|figures| *figures != NodeFigures::default())
    }
}

/// Takes a reading. A file that is missing, or may not be read, leaves its counters `None`.
fn read(ethtool: &mut Option<Ethtool>) -> Reading {
    let text = |file| fs::read_to_string(file).ok();
    let devices = text("/proc/net/dev").unwrap_or_default();
    let exceeded = match ethtool {
        Some(ethtool) => ethtool.exceeded(parse::interfaces(&devices)),
        None => BTreeMap::new(),
    };
    Reading {
        at: Instant::now(),
        cpu_stalled_us: text("/proc/pressure/cpu").as_deref().and_then(parse::stalled_us),
        memory_stalled_us: text("/proc/pressure/memory").as_deref().and_then(parse::stalled_us),
        cpu: text("/proc/stat").as_deref().and_then(parse::cpu_times),
        softnet: text("/proc/net/softnet_stat").as_deref().and_then(parse::softnet),
        listening: text("/proc/net/netstat").as_deref().and_then(parse::listening),
        table: conntrack::table().ok().flatten(),
        failures: conntrack::failures().ok().flatten(),
        exceeded,
    }
}
