//! Evidence of one window: how much more likely each cell is if a component does harm of a given size.

pub(crate) mod background;
pub(crate) mod delays;
pub(crate) mod effect_size;
pub(crate) mod gamma;
pub(crate) mod hypothesis;
pub(crate) mod likelihood;
pub(crate) mod losses;
pub(crate) mod peers;
pub(crate) mod refusals;
pub(crate) mod source;
