//! ADD: an address, a link, routes, a result; on failure what was made goes in the opposite order.

use std::io::Write;

use crate::config::{request, Config, Network};
use crate::error::{Code, Error};
use crate::io::netlink::{link_exists, Netlink};
use crate::io::netns::Namespace;
use crate::names::Names;
use crate::plan::pod_addresses;
use crate::record::Record;
use crate::result::{render, Made};
use crate::store::{Reservation, Reserved, Store};

use super::release::release_claimed;
use super::sweep::sweep;
use super::wire::{exists, Places, Wiring};
use super::{say, Pod};

pub fn add(config: &Config, pod: &Pod, output: &mut impl Write) -> Result<(), Error> {
    let mut network = config.network()?;
    // `args` in the configuration goes before CNI_ARGS (CONVENTIONS.md).
    if network.subnets.iter().all(|subnet| subnet.requested.is_none()) {
        request(&mut network.subnets, pod.args.address.as_slice())?;
    }
    let home = Namespace::current()?;
    let netns = Namespace::open(&pod.netns)?;
    if netns.is(&home) && !pod.same_netns_allowed {
        let details = format!("CNI_NETNS {} is the node's own network namespace", pod.netns);
        return Err(Error::new(Code::InvalidEnvironment, details));
    }
    let mut inside = netns.inside(&home, Netlink::open)??;
    let mut kernel = Netlink::open()?;
    let store = Store::open(config)?;
    let names = Names::of(&pod.attachment);
    clear_remains(&store, &mut kernel, &mut inside, &names, &pod.attachment.ifname)?;

    forget_earlier_boots(config, &store, &mut kernel);
    let reservation = reserve(config, &store, &mut kernel, &network, pod, &names)?;
    let addresses = pod_addresses(network.mode, &network.subnets, &reservation.record.addresses);
    let wiring = Wiring::new(&config.name, &network, pod, &names, addresses);
    let mut places = Places { home: &home, kernel: &mut kernel, netns: &netns, inside: &mut inside };
    let done = wiring
        .make(&mut places)
        .and_then(|()| say(output, &result(config, &network, &wiring)))
        // Last: an ADD whose result nobody got has not been.
        .and_then(|()| reservation.finish(&store));
    if done.is_err() {
        undo(&store, &mut kernel, &wiring.host, &reservation);
    }
    done
}

/// The opposite order: the address goes only when no link can use it. What cannot be undone now is found by its record later.
fn undo(store: &Store, kernel: &mut Netlink, host: &str, reservation: &Reservation) {
    let undone = kernel.delete_link(host).and_then(|_| store.lock()?.give_back(reservation));
    if let Err(error) = undone {
        eprintln!("evio-cni: undoing the ADD failed as well, DEL or a sweep will do it: {error}");
    }
}

fn result(config: &Config, network: &Network, wiring: &Wiring<'_>) -> serde_json::Value {
    let made = Made {
        host: (&wiring.host, wiring.host_mac),
        pod: (&wiring.pod.attachment.ifname, wiring.pod_mac),
        netns: &wiring.pod.netns,
        mtu: network.mtu,
        addresses: &wiring.addresses,
    };
    render(config.version, &made, network.dns.as_ref(), config.prev_result())
}

/// Takes away what an ADD that was cut off left; refuses when the attachment stands.
fn clear_remains(
    store: &Store,
    kernel: &mut Netlink,
    inside: &mut Netlink,
    names: &Names,
    ifname: &str,
) -> Result<(), Error> {
    let Some(mut entry) = store.find(&names.key)? else { return Ok(()) };
    store.claim(&mut entry)?;
    let stands = entry.finished
        && entry.is_of_boot(store.boot_id())
        && link_exists(&names.host())
        && inside.link(ifname)?.is_some();
    if stands {
        return Err(exists(ifname));
    }
    release_claimed(store, kernel, &entry)
}

/// A node that lost its power was told of no DEL, and a runtime need not make up for that. The first ADD of a boot takes back what earlier ones
/// gave; one that cannot leaves it to the next, and to the moment when addresses run out.
fn forget_earlier_boots(config: &Config, store: &Store, kernel: &mut Netlink) {
    if !store.is_new_boot() {
        return;
    }
    let failed = match sweep(config, store, kernel, None) {
        Ok(swept) => swept.failures.into_iter().next(),
        Err(error) => Some(error),
    };
    if let Some(error) = failed.or_else(|| store.note_boot().err()) {
        eprintln!("evio-cni: what an earlier boot left could not be taken away, the next ADD tries again: {error}");
    }
}

/// Addresses for the pod; when there are none left, what dead pods hold is taken away first.
fn reserve(
    config: &Config,
    store: &Store,
    kernel: &mut Netlink,
    network: &Network,
    pod: &Pod,
    names: &Names,
) -> Result<Reservation, Error> {
    let record = |addresses: Vec<_>| Record {
        container_id: pod.attachment.container_id.clone(),
        ifname: pod.attachment.ifname.clone(),
        netns: pod.netns.clone(),
        host_interface: names.host(),
        mac: names.pod_mac(&addresses).to_string(),
        boot_id: store.boot_id().to_owned(),
        addresses,
        pod: pod.args.pod.clone(),
    };
    let try_once = || store.lock()?.reserve(&names.key, &network.subnets, record);
    let mut reserved = try_once()?;
    if !matches!(reserved, Reserved::Done(_)) {
        sweep(config, store, kernel, None)?;
        reserved = try_once()?;
    }
    // 11: other pods end, and then the same call succeeds.
    match reserved {
        Reserved::Done(reservation) => Ok(*reservation),
        Reserved::Exhausted(subnet) => {
            let details = format!("all addresses of this node's subnet {subnet} are given to pods");
            Err(Error::new(Code::TryAgainLater, details))
        }
        Reserved::Taken(address) => {
            Err(Error::new(Code::TryAgainLater, format!("the address {address} is given to another pod")))
        }
    }
}
