//! The few settings rtnetlink does not have. /proc/sys/net shows the namespace of the calling thread, wherever it is mounted: in a
//! container, whose own is read-only, EVIO_PROC_SYS_NET names the machine's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// One setting as it is and as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub link: String,
    pub name: &'static str,
    pub is: String,
    pub wanted: &'static str,
}

/// On the bridge: IPv6 without router advertisements (one from the overlay must not become the machine's default route)
/// and without duplicate address detection (addresses are signed into certificates, and a flood per start is not free).
const BRIDGE: [(&str, &str); 4] = [("disable_ipv6", "0"), ("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0")];
/// On a tap: no address at all; it would announce a random MAC to the whole overlay.
const TAP: [(&str, &str); 1] = [("disable_ipv6", "1")];

/// The settings of all these links that can be read.
pub fn read(bridge: &str, taps: &[String]) -> Vec<Setting> {
    let of_taps = taps.iter().flat_map(|tap| TAP.iter().map(move |entry| (tap.as_str(), entry)));
    let all = BRIDGE.iter().map(|entry| (bridge, entry)).chain(of_taps);
    all.filter_map(|(link, (name, wanted))| {
        let is = std::fs::read_to_string(path(link, name)).ok()?;
        Some(Setting { link: link.to_owned(), name, is: is.trim().to_owned(), wanted })
    })
    .collect()
}

pub fn write(link: &str, name: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(link, name), value)
}

pub fn has_ipv6() -> bool {
    root().join("ipv6").exists()
}

fn path(link: &str, name: &str) -> PathBuf {
    // Interface names have no '/' (`Tap::open` and the kernel refuse them).
    root().join("ipv6/conf").join(link).join(name)
}

fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| std::env::var_os("EVIO_PROC_SYS_NET").map_or("/proc/sys/net".into(), PathBuf::from))
}
