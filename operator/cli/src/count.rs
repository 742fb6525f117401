//! A number with its noun.

use std::fmt::Display;

/// The number and the noun in its form for one or for several, such as `1 monitor` or `3 monitors`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str, several: &str) -> String {
    let noun = if number == N::from(1) { one } else { several };
    format!("{number} {noun}")
}

#[test]
fn one_alone_is_singular() {
    assert_eq!(counted(0_u64, "canary", "canaries"), "0 canaries");
    assert_eq!(counted(1_i32, "canary", "canaries"), "1 canary");
    assert_eq!(counted(2_usize, "canary", "canaries"), "2 canaries");
}
