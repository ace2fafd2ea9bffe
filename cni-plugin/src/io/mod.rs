//! The kernel: links, addresses and routes by rtnetlink, namespaces, settings of /proc/sys.

pub mod messages;
pub mod netlink;
pub mod netns;
pub mod sysctl;
