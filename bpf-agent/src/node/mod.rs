//! How the node is, from counters that its kernel keeps anyway: read once a window, at no cost per packet.

mod conntrack;
mod ethtool;
mod figures;
mod parse;
mod read;

pub use ethtool::Ethtool;
pub use figures::Reading;
pub use read::NodeReader;
