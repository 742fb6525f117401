//! Network namespaces: entering them by thread, and naming them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::error::{Error, Result};

/// Where iproute2 keeps named namespaces.
pub(crate) const DIRECTORY: &str = "/run/netns";

/// The file that stands for a named namespace.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// The file that stands for the namespace of a process.
pub(crate) fn of_process(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}

/// Moves the calling thread into a namespace. Children and sockets that the thread makes are born there.
pub(crate) fn enter(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(Error::file("opening the network namespace", path))?;
    setns(file, CloneFlags::CLONE_NEWNET)
        .map_err(Error::system(format!("entering the network namespace {}", path.display())))
}

/// Runs `work` on a thread of its own in a namespace.
pub(crate) fn within<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(path)?;
            Ok(work())
        });
        thread.join().unwrap_or_else(|_| {
            Err(Error::Unsupported(format!("a thread in {} panicked: this is a bug", path.display())))
        })
    })
}

/// Writes a value under `/proc/sys/net` of the calling thread's namespace.
pub(crate) fn sysctl(name: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys/net").join(name);
    std::fs::write(&path, value).map_err(Error::file("writing", path))
}
