//! CHECK: whether an attachment is still as ADD made it. What plugins after us may have changed is theirs.

use std::net::IpAddr;

use crate::config::{Config, Mode, Network};
use crate::error::{Code, Error};
use crate::io::messages::Link;
use crate::io::netlink::Netlink;
use crate::io::netns::Namespace;
use crate::names::Names;
use crate::net::Family;
use crate::result::{expected, Expected};
use crate::store::Store;

use super::Pod;

pub fn check(config: &Config, pod: &Pod) -> Result<(), Error> {
    let network = config.network()?;
    let previous = config
        .prev_result()
        .ok_or_else(|| Error::new(Code::InvalidConfig, "\"prevResult\" is missing, CHECK needs the result of ADD"))?;
    let ifname = &pod.attachment.ifname;
    let expected = expected(previous, ifname)?;
    let names = Names::of(&pod.attachment);
    let addresses = reserved(config, &names)?;
    if let Some(other) =
        addresses.iter().find(|address| !expected.addresses.iter().any(|cidr| cidr.address == **address))
    {
        return Err(differs(format!("the store gives the pod {other}, \"prevResult\" does not have it")));
    }
    let home = Namespace::current()?;
    let netns = Namespace::open(&pod.netns)?;
    let mut inside = netns.inside(&home, Netlink::open)??;
    let link = pod_end(&mut inside, ifname, &expected)?;
    host_end(&network, &names.host(), &link, &addresses)
}

/// The addresses the store gives this attachment.
fn reserved(config: &Config, names: &Names) -> Result<Vec<IpAddr>, Error> {
    let missing =
        || differs("the store has no record of the attachment: its addresses may be given to another pod".to_owned());
    let store = Store::existing(config)?.ok_or_else(missing)?;
    let entry = store
        .find(&names.key)?
        .filter(|entry| entry.finished && entry.is_of_boot(store.boot_id()))
        .ok_or_else(missing)?;
    let addresses = entry.record.map(|record| record.addresses).unwrap_or_default();
    let used = store.used()?;
    match addresses.iter().find(|address| !used.contains(address)) {
        Some(address) => Err(differs(format!("the store does not keep the address {address}"))),
        None => Ok(addresses),
    }
}

fn pod_end(inside: &mut Netlink, name: &str, expected: &Expected) -> Result<Link, Error> {
    let link = inside.link(name)?.ok_or_else(|| differs(format!("the pod has no interface {name}")))?;
    if !link.is_up {
        return Err(differs(format!("{name} of the pod is down")));
    }
    if let (Some(wanted), Some(is)) = (expected.mac, link.mac) {
        if wanted != is {
            return Err(differs(format!("{name} of the pod has the MAC {is} instead of {wanted}")));
        }
    }
    let addresses = inside.addresses(link.index)?;
    if let Some(missing) = expected.addresses.iter().find(|cidr| !addresses.contains(cidr)) {
        return Err(differs(format!("{name} of the pod has no address {missing}")));
    }
    for family in [Family::V4, Family::V6] {
        let wanted: Vec<_> = expected.routes.iter().filter(|(destination, _)| destination.family() == family).collect();
        if wanted.is_empty() {
            continue;
        }
        let routes = inside.routes(family)?;
        // By destination only: a plugin after us may have given it another next hop.
        if let Some((missing, _)) = wanted.iter().find(|(to, _)| !routes.iter().any(|route| route.destination == *to)) {
            return Err(differs(format!("the pod has no route to {missing}")));
        }
    }
    Ok(link)
}

fn host_end(network: &Network, name: &str, pod: &Link, addresses: &[IpAddr]) -> Result<(), Error> {
    let mut kernel = Netlink::open()?;
    let link = kernel.link(name)?.ok_or_else(|| differs(format!("the node has no interface {name}")))?;
    if !link.is_up {
        return Err(differs(format!("{name} is down")));
    }
    if pod.peer != Some(link.index) {
        return Err(differs(format!("{name} is not the other end of the pod's interface")));
    }
    match network.mode {
        Mode::Flat => {
            let bridge = kernel.link(&network.bridge)?.map(|bridge| bridge.index);
            if bridge.is_none() || link.controller != bridge {
                return Err(differs(format!("{name} is not on the bridge {}", network.bridge)));
            }
        }
        Mode::Routed => {
            for address in addresses {
                if kernel.link_towards(*address)? != Some(link.index) {
                    return Err(differs(format!("the node's route to {address} does not lead to {name}")));
                }
            }
        }
    }
    Ok(())
}

fn differs(details: String) -> Error {
    Error::new(Code::NotAsAdded, details)
}
