//! Tunnels: how records reach one adjacent node, and by which path (docs/wire.md §6.4).
//!
//! [`Paths`] is the machine of one neighbour: it probes candidate addresses with fresh challenges, decides which address
//! is proven and used, notices death within a second of unanswered traffic, and finds the record size the path carries.
//! It is pure: events and the time come in, [`Action`]s go out; sealing and sending are the caller's.

mod choice;
mod eligible;
mod leg;
mod mtu;
mod one_way;
mod paths;

pub use eligible::{eligible, is_private, Subnet};
pub use leg::RemoteType;
pub use mtu::{BASE_RECORD, MAX_RECORD};
pub use paths::{Action, PathKind, Paths, Response, Via, MAX_CANDIDATES};
