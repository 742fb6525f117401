//! Runs a guest, with a time limit.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::DONE;

/// Time limit of a guest, which is emulated and shares the machine with other work.
const LIMIT_SECONDS: u32 = 900;

/// Boots a guest, prints the output of its serial line as it comes, and returns it.
pub(super) fn run(kernel: &Path, initramfs: &Path, arguments: &str) -> Result<String> {
    let mut guest = Command::new("timeout")
        .arg(LIMIT_SECONDS.to_string())
        .args(["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"])
        .args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-serial", "stdio", "-nic", "none"])
        // The guest's clock counts its instructions and leaps over idle time, so that a busy host changes nothing in it.
        .args(["-icount", "shift=2,sleep=off", "-rtc", "clock=vm"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        // Of the kernel's own messages only errors; a panic ends the guest.
        .arg(format!("console=ttyS0 loglevel=4 panic=-1 mitigations=off no_timer_check {arguments}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start timeout")?;
    let mut said = String::new();
    let serial = BufReader::new(guest.stdout.take().context("the guest has no serial line")?);
    for line in serial.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).replace('\r', "");
        println!("{line}");
        said.push_str(&line);
        said.push('\n');
    }
    let status = guest.wait()?;
    let Some((said, _)) = said.split_once(DONE) else {
        bail!(
            "the guest didn't end by itself ({status}; qemu-system-x86_64 comes with the packages of e2e/apt-packages.txt)"
        );
    };
    Ok(said.to_owned())
}
