//! The bytes of `docs/wire.md` §1-§7: octets in, typed values out, and back. No socket, no clock, no state.
//!
//! What may fail: every `decode` refuses a unit that is cut, too long, has a "must be zero" field set or an unknown type, with
//! one [`DecodeError`]. Whatever a peer sends, nothing here panics.

#[cfg(test)]
mod hostile_test;
mod id;
mod reader;

pub mod certificate;
pub mod control;
pub mod flood;
pub mod fragment;
pub mod frame;
pub mod handshake;
pub mod mac;
pub mod notice;
pub mod parameters;
pub mod probe;
pub mod record;
pub mod revocations;
pub mod routing;
pub mod sealed;
pub mod signed;

pub use certificate::Certificate;
pub use id::{BootId, Label, LabelHasher, LabelMap, NodeId, OverlayId};
pub use mac::Mac;
pub use parameters::Parameters;
pub use reader::{DecodeError, Reader};
pub use revocations::Revocations;
pub use signed::{ObjectError, Verified};
