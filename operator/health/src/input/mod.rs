//! From the records of a window to cells, and to the components that each cell's data crosses.

pub(crate) mod cell;
pub(crate) mod component;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod reduce;
pub(crate) mod topology;
pub(crate) mod window;
