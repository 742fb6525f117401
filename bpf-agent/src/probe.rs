//! What this kernel can do, read from its type information before anything is loaded, so that an old kernel gets a
//! sentence instead of a verifier's log.

use std::fs;

use libbpf_rs::btf::{Btf, types};

/// Oldest kernel that has all: `sk_cgrp_data.cgroup` as a bare pointer (5.15), `inet_sk_error_report` (5.14),
/// socket storage and `bpf_sock_from_file` in tracing programs (5.11).
const OLDEST: &str = "5.15";

/// What differs among the kernels that the agent runs on.
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
}

/// Looks at the running kernel.
pub fn probe() -> Result<Features, ProbeError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let Ok(btf) = Btf::from_vmlinux() else { return Err(ProbeError::NoBtf { release }) };
    let missing: Vec<&str> =
        needs(&btf).into_iter().filter_map(|(name, there)| (!there).then_some(name)).collect();
    if !missing.is_empty() {
        return Err(ProbeError::TooOld { release, missing: missing.join(", ") });
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

fn has_function(btf: &Btf<'_>, name: &str) -> bool {
    btf.type_by_name::<types::Func<'_>>(name).is_some()
}

fn has_member(btf: &Btf<'_>, structure: &str, member: &str) -> bool {
    let Some(structure) = btf.type_by_name::<types::Struct<'_>>(structure) else { return false };
    structure.iter().any(|m| m.name.is_some_and(|name| name == member))
}
