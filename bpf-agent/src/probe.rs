//! Checks the kernel's features and the agent's privileges before anything is loaded, so that an old kernel or a
//! missing capability is reported in a sentence instead of a verifier's log.

use std::fs;

use libbpf_rs::btf::{Btf, types};
use libbpf_rs::{PrintLevel, ProgramType};

/// Oldest kernel that has all that the agent needs: `sk_cgrp_data.cgroup` as a bare pointer (5.15),
/// `inet_sk_error_report` (5.14), socket storage and `bpf_sock_from_file` in tracing programs (5.11).
const OLDEST: &str = "5.15";
/// Capabilities without which nothing can be loaded, by their number (include/uapi/linux/capability.h).
const CAPABILITIES: [(&str, u32); 2] = [("PERFMON", 38), ("BPF", 39)];
/// CAP_SYS_ADMIN, which includes both.
const SYS_ADMIN: u32 = 21;
/// `BPF_FUNC_probe_read_kernel`.
const READ_KERNEL: u32 = 113;

/// Features that differ among the kernels that the agent runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `tcp_sock.total_rto` (6.7); else retransmission time-outs are counted by a program that runs on retransmissions.
    pub total_rto: bool,
    /// `tcp_done_with_error` (6.10 and some stable kernels): a connection is closed before its error is reported; else after.
    pub done_with_error: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "kernel {release} has no type information (/sys/kernel/btf/vmlinux): the agent needs Linux {OLDEST} or later built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf { release: String },
    #[error(
        "kernel {release} is too old: the agent needs Linux {OLDEST} or later, and this one lacks {missing}"
    )]
    TooOld { release: String, missing: String },
    #[error(
        "the agent lacks {}: give its container, or its service, the capabilities BPF, PERFMON and NET_ADMIN",
        if missing.len() == 1 { format!("the capability {}", missing.concat()) } else { format!("the capabilities {}", missing.join(" and ")) }
    )]
    Capabilities { missing: Vec<&'static str> },
    #[error(
        "this kernel is locked down for confidentiality (/sys/kernel/security/lockdown), so that no BPF program may read kernel memory: the agent needs lockdown=integrity or none"
    )]
    LockedDown,
}

/// Probes the running kernel.
pub fn probe() -> Result<Features, ProbeError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    // libbpf's own messages go to the debug log: the agent's errors say why it failed.
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, text| {
        tracing::debug!(target: "libbpf", "{}", text.trim_end());
    })));
    let Ok(btf) = Btf::from_vmlinux() else { return Err(ProbeError::NoBtf { release }) };
    let missing: Vec<&str> =
        needs(&btf).into_iter().filter_map(|(name, there)| (!there).then_some(name)).collect();
    if !missing.is_empty() {
        return Err(ProbeError::TooOld { release, missing: missing.join(", ") });
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing_capabilities(&status);
    if !missing.is_empty() {
        return Err(ProbeError::Capabilities { missing });
    }
    // With the capabilities at hand, only lockdown forbids this helper. If the trial fails in another way, loading the
    // programs reports it.
    if ProgramType::Kprobe.is_helper_supported(READ_KERNEL).is_ok_and(|supported| !supported) {
        return Err(ProbeError::LockedDown);
    }
    Ok(Features {
        total_rto: has_member(&btf, "tcp_sock", "total_rto"),
        done_with_error: has_function(&btf, "tcp_done_with_error"),
    })
}

fn needs(btf: &Btf<'_>) -> [(&'static str, bool); 5] {
    let tracepoint =
        |name: &str| btf.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}")).is_some();
    [
        ("the tracepoint tcp_destroy_sock", tracepoint("tcp_destroy_sock")),
        ("the tracepoint inet_sk_error_report (5.14)", tracepoint("inet_sk_error_report")),
        ("the tracepoint tcp_send_reset", tracepoint("tcp_send_reset")),
        ("BPF iterators over files (5.8)", has_function(btf, "bpf_iter_task_file")),
        ("sock_cgroup_data.cgroup (5.15)", has_member(btf, "sock_cgroup_data", "cgroup")),
    ]
}

/// Capabilities that the process with this /proc/PID/status lacks; empty if the file doesn't list its capabilities.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else {
        return Vec::new();
    };
    let has = |number: u32| effective & (1 << number) != 0;
    let lacks = |&(_, number): &(&str, u32)| !has(number) && !has(SYS_ADMIN);
    CAPABILITIES.iter().filter(|capability| lacks(capability)).map(|&(name, _)| name).collect()
}

fn has_function(btf: &Btf<'_>, name: &str) -> bool {
    btf.type_by_name::<types::Func<'_>>(name).is_some()
}

fn has_member(btf: &Btf<'_>, structure: &str, member: &str) -> bool {
    let Some(structure) = btf.type_by_name::<types::Struct<'_>>(structure) else { return false };
    structure.iter().any(|m| m.name.is_some_and(|name| name == member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        let missing =
            |effective: u64| missing_capabilities(&format!("Name:\tx\nCapEff:\t{effective:016x}\n"));
        assert_eq!(missing(1 << 38 | 1 << 39), Vec::<&str>::new());
        assert_eq!(missing(1 << 21), Vec::<&str>::new());
        assert_eq!(missing(1 << 38), ["BPF"]);
        assert_eq!(missing(1 << 39), ["PERFMON"]);
        assert_eq!(missing(0), ["PERFMON", "BPF"]);
        assert_eq!(missing_capabilities("no such line"), Vec::<&str>::new());
    }

    #[test]
    fn what_is_missing_is_said_in_a_sentence() {
        let said =
            |missing: &[&'static str]| ProbeError::Capabilities { missing: missing.to_vec() }.to_string();
        assert!(said(&["BPF"]).starts_with("the agent lacks the capability BPF: give"));
        assert!(
            said(&["PERFMON", "BPF"]).starts_with("the agent lacks the capabilities PERFMON and BPF: give")
        );
    }
}
