//! Settings rtnetlink does not have. /proc/sys/net shows the namespace of the calling thread.

use std::fs;
use std::io::ErrorKind;

use crate::error::{Code, Error};
use crate::names::is_host_name;
use crate::net::Family;

const IPV6_CONF: &str = "/proc/sys/net/ipv6/conf";

pub fn has_ipv6() -> bool {
    std::path::Path::new(IPV6_CONF).exists()
}

/// Whether the node forwards; `link` is a pod's host end, which may have been made while the default was another one.
pub fn forward(family: Family, link: Option<&str>) -> Result<(), Error> {
    let (all, of_links) = match family {
        Family::V4 => ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf"),
        Family::V6 => ("/proc/sys/net/ipv6/conf/all/forwarding", IPV6_CONF),
    };
    if read(all).as_deref() != Some("1") {
        if family == Family::V6 {
            keep_router_advertisements();
        }
        write(all, "1")?;
    }
    if let Some(link) = link {
        let path = format!("{of_links}/{link}/forwarding");
        if read(&path).is_some_and(|value| value == "0") {
            write(&path, "1")?;
        }
    }
    Ok(())
}

/// The kernel ignores router advertisements once it forwards, unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst): a node
/// that has its default route from them would lose it.
fn keep_router_advertisements() {
    let links = fs::read_dir(IPV6_CONF).into_iter().flatten().flatten();
    for link in links.filter_map(|link| link.file_name().into_string().ok()) {
        if matches!(link.as_str(), "all" | "default" | "lo") || is_host_name(&link) {
            continue;
        }
        let path = format!("{IPV6_CONF}/{link}/accept_ra");
        if read(&path).as_deref() == Some("1") {
            let _ = fs::write(&path, "2");
        }
    }
}

/// In the pod: its address is used at once, and no neighbour tells it where to route to. A setting that is missing or cannot be
/// changed shows in what follows, if it matters.
pub fn pod_link(link: &str, has_v6_address: bool) {
    let wanted = [("accept_dad", "0"), ("accept_ra", "0"), ("disable_ipv6", "0")];
    for (name, value) in wanted.into_iter().take(if has_v6_address { 3 } else { 2 }) {
        let path = format!("{IPV6_CONF}/{link}/{name}");
        if read(&path).is_some_and(|is| is != value) {
            let _ = fs::write(&path, value);
        }
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn write(path: &str, value: &str) -> Result<(), Error> {
    fs::write(path, value).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ": set it on the node before pods start",
            _ => "",
        };
        Error::new(Code::Kernel, format!("cannot write {value} to {path}: {error}{hint}"))
    })
}
