//! The link between zones: a thread a direction takes packets from one TUN device and, after the link's delay and unless lost,
//! hands them to the TUN device of the opposite direction.
//!
//! Runs as a process of its own in the router's namespace; told of faults through a Unix socket (see [`control`]).

pub(crate) mod control;
mod link;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use crate::error::{Error, Result};
use crate::network::tun_name;
use crate::sys;

pub(crate) use link::{BASE_DELAY, Settings};
use link::{Counters, Link};

/// A direction between two zones, with what the threads share about it.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) settings: Arc<Settings>,
    pub(crate) counters: Arc<Counters>,
}

/// Serves the links between `zones` zones, for ever.
///
/// # Errors
/// When a device or the socket can't be opened.
pub fn run(zones: u8, socket: &Path) -> Result<()> {
    sys::be_punctual();
    let mut directions = Vec::new();
    for a in 1..=zones {
        for b in a + 1..=zones {
            let forward = open(a, b)?;
            let back = open(b, a)?;
            // Both directions read their own device and write the other's.
            let clones = (clone(&forward)?, clone(&back)?);
            directions.push(start(a, b, forward, clones.1));
            directions.push(start(b, a, back, clones.0));
        }
    }
    let listener = UnixListener::bind(socket).map_err(Error::file("listening on", socket))?;
    control::serve(&listener, &directions);
    Ok(())
}

fn open(from: u8, to: u8) -> Result<std::fs::File> {
    let name = tun_name(from, to);
    sys::open_tun(&name).map_err(Error::system(format!("opening the TUN device {name}")))
}

fn clone(file: &std::fs::File) -> Result<std::fs::File> {
    file.try_clone().map_err(Error::system("sharing a TUN device"))
}

fn start(from: u8, to: u8, input: std::fs::File, output: std::fs::File) -> Direction {
    let settings = Arc::new(Settings::default());
    let counters = Arc::new(Counters::default());
    let seed = u64::from(from) << 8 | u64::from(to);
    let mut link = Link::new(input, output, Arc::clone(&settings), Arc::clone(&counters), seed);
    thread::spawn(move || {
        let error = link.run();
        eprintln!("link {from} to {to}: {error}");
        // Half a network is worse than none: `status` shows a dead relay, nothing shows a dead thread.
        std::process::exit(1);
    });
    Direction { from, to, settings, counters }
}
