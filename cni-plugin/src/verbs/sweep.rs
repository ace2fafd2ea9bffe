//! Takes away what no pod uses: for GC, for an ADD that finds no address, and for a person (`evio-cni sweep CONFLIST`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{json, Value};

use crate::config::Config;
use crate::error::{Code, Error};
use crate::io::netlink::{link_exists, Netlink};
use crate::names::{host_of_key, is_host_name, is_of};
use crate::record::Seen;
use crate::store::Store;

use super::release::release_claimed;
use super::PLUGIN;

/// JavaScript reads numbers up to this one without loss.
const COUNT_MAX: u128 = (1 << 53) - 1;

#[derive(Debug, Default)]
pub struct Swept {
    /// Attachments whose addresses went back.
    pub reclaimed: usize,
    /// Host ends nobody had a record of.
    pub links: usize,
    /// What could not be taken away; the rest was.
    pub failures: Vec<Error>,
}

/// Takes away every dead attachment ([`Seen::is_dead`]); with `valid`, the keys of those the runtime counts as alive.
pub fn sweep(
    config: &Config,
    store: &Store,
    kernel: &mut Netlink,
    valid: Option<&BTreeSet<String>>,
) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    // In this order: a link that was there before the records were listed has a record, or its DEL is at work.
    let before = kernel.links()?;
    let keys = store.keys()?;
    let known: BTreeSet<String> = keys.iter().map(|key| host_of_key(key)).collect();
    for key in keys {
        match take(store, kernel, valid, &key) {
            Ok(true) => swept.reclaimed += 1,
            Ok(false) => {}
            Err(error) => swept.failures.push(error),
        }
    }
    for link in before {
        let ours = is_host_name(&link.name) && link.is_veth && is_of(&config.name, link.alias.as_deref());
        if ours && !known.contains(&link.name) {
            match kernel.delete_link(&link.name) {
                Ok(deleted) => swept.links += usize::from(deleted),
                Err(error) => swept.failures.push(error),
            }
        }
    }
    swept.reclaimed += store.lock()?.free_strays()?;
    Ok(swept)
}

fn take(store: &Store, kernel: &mut Netlink, valid: Option<&BTreeSet<String>>, key: &str) -> Result<bool, Error> {
    let Some(mut entry) = store.find(key)? else { return Ok(false) };
    let busy = !store.try_claim(&mut entry)?;
    let seen = Seen {
        busy,
        finished: entry.finished,
        this_boot: entry.is_of_boot(store.boot_id()),
        // After the claim: a record that is finished by then has had its link before.
        link: link_exists(&host_of_key(key)),
        valid: valid.map(|valid| valid.contains(key)),
    };
    if !seen.is_dead() {
        return Ok(false);
    }
    release_claimed(store, kernel, &entry)?;
    Ok(true)
}

/// `evio-cni sweep CONFLIST`: sweeps, or with `only_count` counts, the network of a configuration list.
pub fn sweep_list(path: &Path, only_count: bool) -> Result<Value, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::file("read", path, &error))?;
    let config = Config::from_list(&bytes, PLUGIN)?;
    let network = config.network()?;
    let store = Store::open(&config)?;
    let swept = if only_count { Swept::default() } else { sweep(&config, &store, &mut Netlink::open()?, None)? };
    if let Some(error) = swept.failures.first() {
        return Err(Error::new(
            Code::Kernel,
            format!("{} could not be taken away, first: {error}", swept.failures.len()),
        ));
    }
    let given = store.used()?;
    let subnets: Vec<(String, u128, u128)> = network
        .subnets
        .iter()
        .map(|subnet| {
            let used = given.iter().filter(|address| subnet.pool.contains(**address)).count() as u128;
            (subnet.cidr.to_string(), used, subnet.pool.size().saturating_sub(used))
        })
        .collect();
    let used = subnets.iter().map(|(_, used, _)| *used).max().unwrap_or(0);
    let free = subnets.iter().map(|(_, _, free)| *free).min().unwrap_or(0);
    Ok(json!({
        "used": count(used),
        "free": count(free),
        "reclaimed": swept.reclaimed,
        "links": swept.links,
        "subnets": subnets.into_iter().map(|(subnet, used, free)| json!({ "subnet": subnet, "used": count(used), "free": count(free) })).collect::<Vec<_>>(),
    }))
}

fn count(number: u128) -> u64 {
    u64::try_from(number.min(COUNT_MAX)).unwrap_or(u64::MAX)
}
