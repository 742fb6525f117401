//! A connection-tracking table that is full.
//!
//! `net.netfilter.nf_conntrack_max` is one number for the whole machine and can't be written from a node's network namespace, but
//! each namespace counts its own entries against it. So the node's own table is filled, as a scan or a leak of connections fills
//! it, and nobody else's.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::Cmd;
use crate::error::{Error, Result};

/// Entries are from and to addresses that nobody in the lab has.
const SOURCES: &str = "198.18.192.0/18";
const DESTINATION: &str = "198.18.255.254";
/// Entries of one source address, one a port.
const PORTS: std::ops::Range<u32> = 1024..64_000;
/// Longer than any scenario.
const LIFETIME_SECONDS: u32 = 86_400;
/// A table of a million entries takes some ten seconds.
const LIMIT: Duration = Duration::from_secs(120);
/// Tries to delete entries, some of which expire meanwhile.
const TRIES: usize = 50;
const MAXIMUM: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Fills the table of a network namespace to its limit, after forgetting what has ended: else each entry that expires would let
/// a new connection in.
pub(crate) fn fill(netns: &Path) -> Result<()> {
    let text = fs::read_to_string(MAXIMUM).map_err(Error::file("reading", MAXIMUM))?;
    let most: u32 = text
        .trim()
        .parse()
        .map_err(|_| Error::Unsupported(format!("{MAXIMUM} holds {:?}, which is no number", text.trim())))?;
    for state in ["TIME_WAIT", "CLOSE"] {
        delete(netns, &["-p", "tcp", "--state", state])?;
    }
    delete(netns, &["-p", "udp"])?;
    let filled = Cmd::new("conntrack").args(["-R", "-"]).input(entries(most)).netns(netns).limit(LIMIT).run();
    match filled {
        // It ends with the first entry that has no place.
        Err(Error::Command { output, .. }) if is_full(&output) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(Error::Unsupported(format!(
            "{most} entries, the limit of {MAXIMUM}, have not filled the connection-tracking table"
        ))),
    }
}

/// Removes what [`fill`] has put there.
pub(crate) fn empty(netns: &Path) -> Result<()> {
    delete(netns, &["-s", SOURCES])
}

fn is_full(output: &str) -> bool {
    output.contains("not enough memory")
}

fn delete(netns: &Path, which: &[&str]) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        // It prints each entry that it deletes.
        let command =
            Cmd::new("sh").args(["-c", "exec conntrack -D \"$@\" >/dev/null", "conntrack"]).args(which);
        match command.netns(netns).limit(LIMIT).run() {
            // None of them there.
            Err(Error::Command { output, .. }) if output.contains(": 0 flow entries") => return Ok(()),
            // One expired between being listed and being deleted, which ends the command before its time.
            Err(Error::Command { output, .. }) if output.contains("doesn't exist") && tries < TRIES => {}
            result => return result.map(drop),
        }
    }
}

/// Lines for `conntrack -R`: one more than `count` established, answered connections, which the kernel doesn't evict.
fn entries(count: u32) -> String {
    let ports = PORTS.end - PORTS.start;
    let mut text = String::new();
    for number in 0..=count {
        let (host, port) = (number / ports, PORTS.start + number % ports);
        let _ = writeln!(
            text,
            "-I -p tcp -s 198.18.{}.{} -d {DESTINATION} --sport {port} --dport 9 --state ESTABLISHED -t {LIFETIME_SECONDS} -u ASSURED,SEEN_REPLY",
            192 + host / 250,
            1 + host % 250,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_entry_is_made_than_the_table_takes() {
        let text = entries(70_000);
        let distinct: std::collections::BTreeSet<_> = text.lines().collect();
        assert_eq!(distinct.len(), 70_001);
        assert!(text.lines().all(|line| line.contains("-s 198.18.192.")), "{text}");
    }
}
