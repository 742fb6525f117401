//! How the relay is told what to lose: one JSON line each way on a Unix socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Direction;
use crate::error::{Error, Result};
use crate::fault::{Fault, Loss};
use crate::plan::Plan;

const LIMIT: Duration = Duration::from_secs(5);

/// What a direction is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) loss_per_million: u32,
    pub(crate) extra_delay_us: u64,
}

/// What a direction does and did, since the lab came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Zone number.
    pub from: u8,
    /// Zone number.
    pub to: u8,
    /// Share lost now, in millionths.
    pub loss_per_million: u32,
    /// Delay now, in microseconds, the link's own included.
    pub delay_us: u64,
    /// Packets handed on.
    pub forwarded: u64,
    /// Packets lost because a fault asked for it.
    pub lost: u64,
    /// Packets lost because the relay couldn't keep up: should be 0.
    pub overflowed: u64,
}

/// The settings that these faults make together.
pub(crate) fn settings<'a>(plan: &Plan, faults: impl Iterator<Item = &'a Fault> + Clone) -> Vec<Setting> {
    let pairs = plan.zone_pairs().flat_map(|(a, b)| [(a, b), (b, a)]);
    pairs
        .map(|(from, to)| {
            let mut loss = Loss::NONE;
            let mut extra = Duration::ZERO;
            for fault in faults.clone() {
                let Fault::ZoneLink { a, b, loss: more, delay, one_way } = fault else { continue };
                let (a, b) = (plan.zone_number(a), plan.zone_number(b));
                let covers = (a, b) == (Some(from), Some(to)) || !one_way && (b, a) == (Some(from), Some(to));
                if covers {
                    loss = loss.and(*more);
                    extra += *delay;
                }
            }
            Setting {
                from,
                to,
                loss_per_million: loss.per_million(),
                extra_delay_us: u64::try_from(extra.as_micros()).unwrap_or(u64::MAX),
            }
        })
        .collect()
}

/// Sends settings (none to only ask) and returns what all directions do.
pub(crate) fn send(socket: &Path, settings: &[Setting]) -> Result<Vec<LinkStatus>> {
    let told = |e| Error::file("asking the relay at", socket)(e);
    let mut stream = UnixStream::connect(socket).map_err(told)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(told)?;
    stream.set_write_timeout(Some(LIMIT)).map_err(told)?;
    let mut line = serde_json::to_string(settings).map_err(Error::json("asking the relay"))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(told)?;
    serde_json::from_str(&answer).map_err(Error::json("the relay's answer"))
}

/// Answers on the socket for ever. One question at a time is enough: they come from `fault`, `heal` and `status`.
pub(super) fn serve(listener: &UnixListener, directions: &[Direction]) {
    for stream in listener.incoming().filter_map(std::result::Result::ok) {
        if let Err(error) = answer(stream, directions) {
            eprintln!("control: {error}");
        }
    }
}

fn answer(mut stream: UnixStream, directions: &[Direction]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let settings: Vec<Setting> = serde_json::from_str(&line)?;
    for setting in settings {
        for direction in directions.iter().filter(|d| (d.from, d.to) == (setting.from, setting.to)) {
            direction.settings.set(setting.loss_per_million, Duration::from_micros(setting.extra_delay_us));
        }
    }
    let status: Vec<LinkStatus> = directions.iter().map(status).collect();
    let mut text = serde_json::to_string(&status)?;
    text.push('\n');
    stream.write_all(text.as_bytes())
}

fn status(direction: &Direction) -> LinkStatus {
    let delay = super::BASE_DELAY + direction.settings.extra_delay();
    LinkStatus {
        from: direction.from,
        to: direction.to,
        loss_per_million: direction.settings.loss_per_million(),
        delay_us: u64::try_from(delay.as_micros()).unwrap_or(u64::MAX),
        forwarded: direction.counters.forwarded.load(Relaxed),
        lost: direction.counters.lost.load(Relaxed),
        overflowed: direction.counters.overflowed.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn of(faults: &[Fault]) -> Vec<(u8, u8, u32, u64)> {
        let plan = Plan::of(&Options::named("t")).unwrap();
        settings(&plan, faults.iter())
            .into_iter()
            .map(|s| (s.from, s.to, s.loss_per_million, s.extra_delay_us))
            .collect()
    }

    #[test]
    fn a_link_without_faults_loses_nothing_and_is_told_so() {
        let all = of(&[]);
        assert_eq!(all.len(), 6);
        assert!(all.iter().all(|(_, _, loss, delay)| (*loss, *delay) == (0, 0)));
    }

    #[test]
    fn a_one_way_fault_covers_its_direction_alone_and_faults_add_up() {
        let all = of(&[
            Fault::zone_link("zone-2", "zone-1", 0.02),
            Fault::zone_link_one_way("zone-1", "zone-2", 0.5),
        ]);
        assert!(all.contains(&(1, 2, 510_000, 0)));
        assert!(all.contains(&(2, 1, 20_000, 0)));
        assert!(all.contains(&(1, 3, 0, 0)));
    }
}
