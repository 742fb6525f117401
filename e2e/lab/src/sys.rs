//! The crate's only unsafe code: what the standard library and `nix` leave to `ioctl`, `ppoll` and `fork`.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Starts a command as leader of a session of its own, and in a cgroup before its first instruction: whatever it forks is
/// found there, also if this process is killed before it could note the pid.
pub(crate) fn spawn_in_cgroup(command: &mut Command, cgroup: &Path) -> io::Result<Child> {
    let procs = OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?;
    let fd: RawFd = procs.as_raw_fd();
    // SAFETY: between fork and exec only async-signal-safe calls (setsid, write) on values made before the fork; `procs`
    // outlives the spawn below.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() < 0 || libc::write(fd, b"0".as_ptr().cast(), 1) != 1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let child = command.spawn();
    drop(procs);
    child
}

/// Has a command killed when the thread that starts it ends: an `up` that is killed leaves no `ip` or `ctr` at work behind it.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls (prctl, getppid) on plain integers.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have gone before the call above.
            if u32::try_from(libc::getppid()).ok() != Some(parent) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Ok(())
        });
    }
}

/// Opens an existing TUN device of this thread's network namespace: a read or a write is one IP packet.
pub(crate) fn open_tun(name: &str) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: `ifreq` is plain data for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name}: too long for a link's name"),
        ));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).map_err(io::Error::other)?;
    // SAFETY: `request` is a valid ifreq that lives through the call, which reads it and writes the name back.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}

/// Waits until `file` can be read, at most `limit`, to the resolution of the kernel's timers. Returns whether it can.
pub(crate) fn wait_readable(file: &File, limit: Option<Duration>) -> io::Result<bool> {
    let mut fd = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let time = limit.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(limit.subsec_nanos()),
    });
    let time_ptr = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one valid pollfd, a timespec that is null or lives through the call, no signal mask.
    let ready = unsafe { libc::ppoll(&raw mut fd, 1, time_ptr, std::ptr::null()) };
    match ready {
        0.. => Ok(ready > 0),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// Lets this thread's sleeps end on time (the default slack is 50 µs) and puts the process before others on a busy machine.
pub(crate) fn be_punctual() {
    // SAFETY: both calls take plain integers. Failing leaves the defaults, which only costs precision.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0_u64, 0_u64, 0_u64);
        libc::setpriority(libc::PRIO_PROCESS, 0, -15);
    }
}
