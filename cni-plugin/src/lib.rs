//! evio-cni, the CNI plugin of Evio: gives a pod its link, addresses and routes, and takes them away again.
//!
//! It asks nobody: addresses are in files of its own ([`store`]), links and routes in the kernel ([`io`]), so pods start and end
//! while the agent is away. What decides is in the modules on top, which take values and return values; docs/cni.md is the manual.

pub mod args;
pub mod config;
pub mod error;
pub mod io;
pub mod names;
pub mod net;
pub mod plan;
pub mod record;
pub mod request;
pub mod result;
pub mod store;
pub mod verbs;
pub mod version;
