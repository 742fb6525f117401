//! Figures of the node itself: pressure on CPU and memory, dropped packets, connection tracking, an EC2 instance's
//! allowances. They come from counters that the kernel keeps anyway, are read once a window and cost nothing per
//! packet.

mod conntrack;
mod ethtool;
mod figures;
mod parse;
mod read;

pub use ethtool::Ethtool;
pub use figures::Reading;
pub use read::NodeReader;
