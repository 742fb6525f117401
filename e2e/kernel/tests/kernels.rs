//! The agent on Debian's kernels, each booted by qemu without KVM: the other tests of this directory run there.

// Test code: a panic is the failure.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tidewatch_kernel_tests::vm::{self, Release, Run};

const ALL: &[&str] = &["counters", "identity", "outcomes", "privileges"];

/// Boots a kernel on which the agent gives up. Returns the agent's output without that of the guest.
fn refusal(release: Release, run: Run, more_arguments: &str) -> String {
    let said = vm::boot(release, run, more_arguments).unwrap();
    assert!(said.contains("GUEST RAN the agent: exit status: 1"), "the agent should give up:\n{said}");
    let of_agent = said.lines().skip_while(|line| !line.starts_with("GUEST RUNS"));
    let lines: Vec<_> = of_agent.filter(|line| !line.starts_with("GUEST ")).collect();
    assert_eq!(lines.len(), 1, "one sentence, not\n{said}");
    lines.concat()
}

#[test]
fn the_agent_tells_the_truth_on_linux_6_1() {
    vm::passes(Release::Linux6_1, ALL).unwrap();
}

#[test]
fn the_agent_tells_the_truth_on_linux_6_12() {
    vm::passes(Release::Linux6_12, ALL).unwrap();
}

#[test]
fn the_agent_tells_the_truth_on_linux_6_16() {
    vm::passes(Release::Linux6_16, ALL).unwrap();
}

#[test]
fn the_agent_tells_the_truth_on_linux_7() {
    vm::passes(Release::Linux7, ALL).unwrap();
}

#[test]
fn linux_5_10_is_refused_with_what_it_lacks() {
    let said = refusal(Release::Linux5_10, Run::Agent, "");
    assert!(said.contains("is too old: the agent needs Linux 5.15 or later"), "{said}");
}

#[test]
fn lockdown_for_confidentiality_is_named() {
    let said = refusal(Release::Linux6_1, Run::Agent, "lockdown=confidentiality");
    assert!(said.contains("locked down for confidentiality"), "{said}");
}

#[test]
fn a_kernel_without_type_information_is_refused() {
    let said = refusal(Release::Linux6_1, Run::AgentWithoutBtf, "");
    assert!(said.contains("has no type information"), "{said}");
}
