//! Localisation in one window: the components that explain the evidence best.

pub(crate) mod breadth;
pub(crate) mod candidate;
pub(crate) mod finding;
pub(crate) mod localise;
pub(crate) mod suspect;
