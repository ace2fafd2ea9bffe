//! STATUS: whether the next ADD would succeed (CNI specification 1.1.0; a runtime must not rely on being asked).

use std::os::unix::ffi::OsStrExt;

use crate::config::{Config, Mode, Network, Subnet};
use crate::error::{Code, Error};
use crate::io::netlink::{link_exists, Netlink};
use crate::names::host_of_key;
use crate::store::Store;

pub fn status(config: &Config) -> Result<(), Error> {
    let network = config.network().map_err(not_available)?;
    dataplane(&network)?;
    let store = Store::open(config).map_err(not_available)?;
    writable(&config.data_dir.join(&config.name))?;
    room(&store, &network)
}

/// Pods that run need the bridge as much as new ones do.
fn dataplane(network: &Network) -> Result<(), Error> {
    let limited = |details: String| Error::new(Code::LimitedConnectivity, details);
    let name = &network.bridge;
    let mut kernel = Netlink::open().map_err(not_available)?;
    let bridge = kernel.link(name).map_err(not_available)?;
    let bridge =
        bridge.ok_or_else(|| limited(format!("there is no {name}: is Evio's dataplane running on this node?")))?;
    if !bridge.is_up {
        return Err(limited(format!("{name} is down: is Evio's dataplane running on this node?")));
    }
    if network.mode == Mode::Flat && !bridge.is_bridge {
        return Err(not_available(Error::new(
            Code::InvalidConfig,
            format!("{name} is no Linux bridge, flat attachment needs one"),
        )));
    }
    let has = kernel.addresses(bridge.index).map_err(not_available)?;
    for node in network.subnets.iter().filter_map(|subnet| subnet.node) {
        if !has.iter().any(|cidr| cidr.address == node) {
            return Err(limited(format!(
                "{name} lacks the node's address {node}: is Evio's agent running on this node?"
            )));
        }
    }
    Ok(())
}

fn writable(dir: &std::path::Path) -> Result<(), Error> {
    let path = std::ffi::CString::new(dir.as_os_str().as_bytes()).unwrap_or_default();
    // SAFETY: a C string that lives through the call.
    if unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(not_available(Error::file("write to", dir, &error)))
}

/// Counts only: what dead pods hold is free for the next ADD, so a full pool is looked into.
fn room(store: &Store, network: &Network) -> Result<(), Error> {
    let used = store.used().map_err(not_available)?;
    for subnet in &network.subnets {
        let taken = used.iter().filter(|address| subnet.pool.contains(**address)).count() as u128;
        if taken < subnet.pool.size() {
            continue;
        }
        if alive(store, subnet).map_err(not_available)? >= subnet.pool.size() {
            let details = format!("all addresses of this node's subnet {} are given to pods", subnet.cidr);
            return Err(Error::new(Code::NotAvailable, details));
        }
    }
    Ok(())
}

/// How many attachments that an ADD would not sweep away hold an address of `subnet`.
fn alive(store: &Store, subnet: &Subnet) -> Result<u128, Error> {
    let mut count = 0;
    for key in store.keys()? {
        let Some(entry) = store.find(&key)? else { continue };
        let addresses = entry.record.as_ref().map(|record| record.addresses.as_slice()).unwrap_or_default();
        let holds = addresses.iter().any(|address| subnet.pool.contains(*address));
        let lives = entry.is_of_boot(store.boot_id()) && (!entry.finished || link_exists(&host_of_key(&key)));
        count += u128::from(holds && lives);
    }
    Ok(count)
}

fn not_available(error: Error) -> Error {
    Error::new(Code::NotAvailable, error.details)
}
