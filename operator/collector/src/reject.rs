//! Reasons for which a record isn't kept.

/// Each is a value of the metric's `reason`, and a word of `partial_success`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reject {
    /// Not a record of ours, or not a whole one.
    Malformed,
    /// About another node than the token's.
    WrongNode,
    /// Older than the history.
    Past,
    /// More than a window ahead.
    Future,
    /// Its evaluation windows have closed.
    Late,
    Duplicate,
    /// Its node has sent as many for this window as there is room for.
    NodeFull,
    /// There is no room for anyone's.
    Full,
}

impl Reject {
    pub(super) const ALL: [Self; 8] = [
        Self::Malformed,
        Self::WrongNode,
        Self::Past,
        Self::Future,
        Self::Late,
        Self::Duplicate,
        Self::NodeFull,
        Self::Full,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongNode => "wrong_node",
            Self::Past => "past",
            Self::Future => "future",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::NodeFull => "node_full",
            Self::Full => "full",
        }
    }
}
