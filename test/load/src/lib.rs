//! What both programs of this crate need: `load`, and `transfer`.

pub mod net;
