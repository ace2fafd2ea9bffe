//! What the targets share.

pub mod memory;
pub mod papers;
pub mod script;
pub mod world;

pub use memory::bounded;
pub use script::Script;
