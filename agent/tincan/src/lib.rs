//! tincan: everything of an Evio node that moves frames.
//!
//! Modules that decide (`wire`, `session`, `switch`, `flood`, `tunnel`, `frame`) take bytes, events and the time and return
//! values; `io` touches the kernel; `node` composes them. `docs/wire.md` draws every byte.

// Only calls of the system need it: whatever looks at bytes from outside does without, and its fuzzing without a sanitizer.
#![deny(unsafe_code)]

pub mod control;
pub mod daemon;
pub mod firewall;
pub mod flood;
pub mod forwards;
pub mod frame;
#[allow(unsafe_code)]
pub mod io;
pub mod large;
pub mod log;
pub mod node;
pub mod order;
pub mod prefix;
pub mod reach;
pub mod relay;
pub mod routing;
pub mod session;
pub mod stun;
pub mod switch;
#[allow(unsafe_code)]
pub mod time;
pub mod trace;
pub mod tunnel;
pub mod wire;
