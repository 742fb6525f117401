//! Compiles bpf/flows.bpf.c with clang and generates the skeleton that `src/kernel.rs` includes.

use std::env;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?).join("flows.skel.rs");
    // Errors name the file and line; a missing clang says so itself.
    libbpf_cargo::SkeletonBuilder::new()
        .source("bpf/flows.bpf.c")
        // BPF_PROG's expansion has a ctx that a program with typed arguments doesn't use.
        .clang_args(["-Ibpf", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
        .build_and_generate(&out)?;
    println!("cargo:rerun-if-changed=bpf");
    Ok(())
}
