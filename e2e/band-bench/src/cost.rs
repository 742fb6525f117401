//! CPU time and memory of the engines of 10,000 series.

use anyhow::Context;
use jiff::Timestamp;
use tidewatch_bands::{Config, Engine};

use crate::series::{Random, START};

const SERIES: usize = 10_000;
const UPDATES: i64 = 40;

pub(crate) fn run() -> anyhow::Result<()> {
    let before = resident_bytes()?;
    let mut random = Random::new(1, 999);
    let mut engines: Vec<Engine> = (0..SERIES).map(|_| Engine::new(Config::default())).collect();
    let mut elapsed = 0.0;
    for index in 0..UPDATES + 12 {
        let at = Timestamp::from_second(START + 60 * index).context("a timestamp")?;
        let values: Vec<f64> = (0..SERIES).map(|_| 100.0 + random.normal()).collect();
        let started = cpu_seconds()?;
        for (engine, value) in engines.iter_mut().zip(values) {
            engine.observe(at, value);
        }
        if index >= 12 {
            elapsed += cpu_seconds()? - started;
        }
    }
    let bytes = resident_bytes()?.saturating_sub(before);
    let state = engines.first().context("an engine")?.save()?.len();
    let update = elapsed / (SERIES as f64 * UPDATES as f64);
    let core = 100.0 * update * SERIES as f64 / 60.0;
    println!(
        "BENCH {{\"bench\":\"bands-cost\",\"series\":{SERIES},\"update_us\":{:.2},\"percent_of_a_core_at_60s\":{core:.2},\"megabytes\":{:.1},\"state_bytes\":{state}}}",
        update * 1e6,
        bytes as f64 / 1e6
    );
    println!("100,000 series would need {:.1}% of a core and {:.0} MB", core * 10.0, bytes as f64 / 1e5);
    Ok(())
}

/// CPU time of this thread, which doesn't depend on the load of the machine.
fn cpu_seconds() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").context("read /proc/self/schedstat")?;
    let first = text.split_whitespace().next().context("a number in /proc/self/schedstat")?;
    let nanoseconds: f64 = first.parse().context("the time in /proc/self/schedstat as a number")?;
    Ok(nanoseconds / 1e9)
}

fn resident_bytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS in /proc/self/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS as a number")?;
    Ok(kilobytes * 1024)
}
