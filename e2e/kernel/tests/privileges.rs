//! Errors of an agent that lacks a capability.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tidewatch_kernel_tests::agent;
use tidewatch_kernel_tests::command::require_root;

/// Runs an agent without these capabilities, and without SYS_ADMIN, which includes them. Returns its error.
fn without(capabilities: &str) -> String {
    require_root().unwrap();
    agent::gives_up(&["setpriv", &format!("--bounding-set=-sys_admin,{capabilities}")]).unwrap()
}

#[test]
fn each_missing_capability_is_named_in_one_line() {
    for (capabilities, named) in [
        ("-perfmon", "the agent lacks the capability PERFMON: "),
        ("-bpf", "the agent lacks the capability BPF: "),
        ("-perfmon,-bpf", "the agent lacks the capabilities PERFMON and BPF: "),
    ] {
        let said = without(capabilities);
        assert!(said.contains(named), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
