//! Canaries of CloudWatch Synthetics: desired → observe → plan → apply → status.
//!
//! `desired` makes of the spec what should be in AWS, at the `place` that `names` gives it, with the `schedule` and the
//! `runtime` in AWS's words; `observe` reads what is there; `plan` compares, with `clear` for what should go; `apply`
//! writes; `status` folds what came of it, with the `runs` that ended since. `pass` is the sequence, `ending` that of the
//! end, and `report` what comes of both.
//! Only `observe`, `gather` (with `scripts`), `apply` and `report` do I/O.

mod apply;
mod case;
mod clear;
mod desired;
mod ending;
mod gather;
mod memory;
mod names;
mod observe;
mod pass;
mod place;
mod plan;
mod reason;
mod report;
mod runs;
mod runtime;
mod schedule;
mod scripts;
mod status;
#[cfg(test)]
pub(super) mod tests;

pub(super) use pass::{AwsCanaries, Surroundings};
