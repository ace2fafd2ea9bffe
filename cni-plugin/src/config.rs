//! The plugin's part of the network configuration (docs/cni.md has every key).
//!
//! ADD, CHECK and STATUS refuse what they do not know. DEL and GC need the network's name and directory only: what is to go must not
//! be held by a key that changed meanwhile.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::args::requested;
use crate::error::{Code, Error};
use crate::net::{Cidr, Family};
use crate::plan::Pool;
use crate::request::{is_identifier, is_interface_name, Attachment};
use crate::version::Version;

const DATA_DIR: &str = "/var/lib/cni/evio";
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
const BRIDGE: &str = "evio0";
const MTU: u64 = 1400;
/// IPv6 needs 1280 (RFC 8200 section 5).
const MTU_RANGE: std::ops::RangeInclusive<u64> = 1280..=65_535;

/// What is ours; `args` may hold anything (CNI specification, "Plugin configuration objects").
const KEYS: [&str; 18] = [
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "capabilities",
    "runtimeConfig",
    "prevResult",
    "args",
    "dns",
    "disableCheck",
    "disableGC",
    "attachment",
    "bridge",
    "mtu",
    "subnets",
    "gateways",
    "podCIDRs",
    "dataDir",
];
const BOOT_ID_KEY: &str = "bootIDFile";

/// How a pod hangs on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A link of its own with host routes: every packet passes the node's routing.
    Routed,
    /// A port of the bridge: all pods are in one broadcast domain.
    Flat,
}

/// One family's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The node's piece of the pod CIDR.
    pub cidr: Cidr,
    /// The node's overlay address, where it has one of this family.
    pub node: Option<IpAddr>,
    /// Flat: the whole pod CIDR.
    pub pods: Option<Cidr>,
    pub pool: Pool,
    /// The address the caller asked for.
    pub requested: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub mode: Mode,
    pub bridge: String,
    pub mtu: u32,
    /// One or two, of different families.
    pub subnets: Vec<Subnet>,
    /// Passed on as it is: `nameservers`, `domain`, `search`, `options`.
    pub dns: Option<Value>,
}

/// What every verb needs.
#[derive(Debug, Clone)]
pub struct Config {
    pub version: Version,
    pub name: String,
    pub data_dir: PathBuf,
    pub boot_id_file: PathBuf,
    object: Map<String, Value>,
}

/// The version a configuration names, for the `cniVersion` of errors and of VERSION; None when it names none.
pub fn named_version(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    value.get("cniVersion")?.as_str().map(str::to_owned)
}

impl Config {
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            let what = if bytes.is_empty() { "standard input is empty".to_owned() } else { error.to_string() };
            Error::new(Code::Decode, what)
        })?;
        let Value::Object(object) = value else {
            return Err(Error::new(Code::Decode, "the configuration is no JSON object"));
        };
        Self::of(object)
    }

    fn of(object: Map<String, Value>) -> Result<Self, Error> {
        let version = match object.get("cniVersion") {
            None => Version::of(None)?,
            Some(Value::String(text)) => Version::of(Some(text))?,
            Some(other) => {
                return Err(Error::new(Code::Decode, format!("\"cniVersion\" is {other}, must be a string")))
            }
        };
        let name = string(&object, "name")?.ok_or_else(|| invalid("\"name\" is missing"))?;
        if !is_identifier(name) {
            let rule = "it must start with a letter or digit and go on with letters, digits, '_', '.' and '-'";
            return Err(invalid(&format!("\"name\" is {name:?}: {rule}")));
        }
        let (data_dir, boot_id_file) = (path(&object, "dataDir", DATA_DIR)?, path(&object, BOOT_ID_KEY, BOOT_ID_FILE)?);
        Ok(Self { version, name: name.to_owned(), data_dir, boot_id_file, object })
    }

    /// The part of a configuration list that is ours, as a runtime would hand it to the plugin.
    pub fn from_list(bytes: &[u8], plugin: &str) -> Result<Self, Error> {
        let list: Value = serde_json::from_slice(bytes).map_err(|error| Error::new(Code::Decode, error.to_string()))?;
        let plugins = list.get("plugins").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let ours = plugins.iter().filter_map(Value::as_object);
        let ours = ours.into_iter().find(|object| object.get("type").and_then(Value::as_str) == Some(plugin));
        let mut object = ours.cloned().ok_or_else(|| invalid(&format!("\"plugins\" has none of type {plugin:?}")))?;
        for key in ["cniVersion", "name"] {
            if let Some(value) = list.get(key) {
                object.insert(key.to_owned(), value.clone());
            }
        }
        Self::of(object)
    }

    /// What ADD, CHECK and STATUS need; refuses unknown keys.
    pub fn network(&self) -> Result<Network, Error> {
        self.known_keys()?;
        let object = &self.object;
        let mode = match string(object, "attachment")?.unwrap_or("routed") {
            text if text.eq_ignore_ascii_case("routed") => Mode::Routed,
            text if text.eq_ignore_ascii_case("flat") => Mode::Flat,
            other => return Err(invalid(&format!("\"attachment\" is {other:?}, must be \"routed\" or \"flat\""))),
        };
        let bridge = string(object, "bridge")?.unwrap_or(BRIDGE).to_owned();
        if !is_interface_name(&bridge) {
            return Err(invalid(&format!("\"bridge\" is {bridge:?}, which is no interface name")));
        }
        let mtu = match object.get("mtu") {
            None => MTU,
            Some(value) => value
                .as_u64()
                .filter(|mtu| MTU_RANGE.contains(mtu))
                .ok_or_else(|| invalid(&format!("\"mtu\" is {value}, must be a number from 1280 to 65535")))?,
        };
        let dns = match object.get("dns") {
            None | Some(Value::Null) => None,
            Some(Value::Object(dns)) => Some(Value::Object(dns.clone())),
            Some(other) => return Err(invalid(&format!("\"dns\" is {other}, must be an object"))),
        };
        Ok(Network { mode, bridge, mtu: u32::try_from(mtu).unwrap_or(u32::MAX), subnets: self.subnets(mode)?, dns })
    }

    pub fn prev_result(&self) -> Option<&Value> {
        self.object.get("prevResult").filter(|value| !value.is_null())
    }

    /// GC: the attachments that are to stay. None when there is no list, as `cnitool gc` has it: taken for an empty one it would cut
    /// off every pod.
    pub fn valid_attachments(&self) -> Result<Option<Vec<Attachment>>, Error> {
        const KEY: &str = "cni.dev/valid-attachments";
        // The second is what the specification once said and libcni still sends (containernetworking/cni #1101).
        let value = self.object.get(KEY).or_else(|| self.object.get("cni.dev/attachments"));
        let list = match value {
            Some(Value::Array(list)) => list.as_slice(),
            Some(Value::Null) => &[],
            Some(other) => return Err(invalid(&format!("{KEY:?} is {other}, must be a list"))),
            None => return Ok(None),
        };
        list.iter()
            .map(|entry| {
                let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
                let pair = text("containerID").zip(text("ifname"));
                let (container_id, ifname) =
                    pair.ok_or_else(|| invalid(&format!("{KEY:?} has {entry}, which lacks containerID or ifname")))?;
                Ok(Attachment { container_id, ifname })
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Addresses the caller wants: the capability `ips`, else `args.cni.ips`.
    fn wanted(&self) -> Result<Vec<IpAddr>, Error> {
        let capability = self.object.get("runtimeConfig").and_then(|value| value.get("ips"));
        let list = capability.or_else(|| self.object.get("args").and_then(|value| value.pointer("/cni/ips")));
        let entries = match list {
            None | Some(Value::Null) => return Ok(vec![]),
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(invalid(&format!("\"ips\" is {other}, must be a list of addresses"))),
        };
        entries
            .iter()
            .map(|entry| {
                let text =
                    entry.as_str().ok_or_else(|| invalid(&format!("\"ips\" has {entry}, which is no address")))?;
                requested(text).map_err(|details| invalid(&format!("\"ips\" has {details}")))
            })
            .collect()
    }

    fn subnets(&self, mode: Mode) -> Result<Vec<Subnet>, Error> {
        let networks = |key: &str| {
            strings(&self.object, key)?
                .into_iter()
                .map(|text| Cidr::network(text).map_err(|details| invalid(&format!("{key:?}: {details}"))))
                .collect::<Result<Vec<Cidr>, Error>>()
        };
        let (cidrs, pods) = (networks("subnets")?, networks("podCIDRs")?);
        let nodes = strings(&self.object, "gateways")?
            .into_iter()
            .map(|text| text.parse().map_err(|_| invalid(&format!("\"gateways\" has {text:?}, which is no address"))))
            .collect::<Result<Vec<IpAddr>, Error>>()?;
        if cidrs.is_empty() {
            return Err(invalid("\"subnets\" is empty: this node has no piece of the pod CIDR"));
        }
        one_per_family("subnets", cidrs.iter().map(Cidr::family))?;
        one_per_family("podCIDRs", pods.iter().map(Cidr::family))?;
        one_per_family("gateways", nodes.iter().map(|address| Family::of(*address)))?;
        let mut subnets = vec![];
        for cidr in cidrs {
            let family = cidr.family();
            let node = nodes.iter().copied().find(|address| Family::of(*address) == family);
            let pods = pods.iter().copied().find(|pods| pods.family() == family);
            match pods {
                None if mode == Mode::Flat => {
                    return Err(invalid(&format!("\"podCIDRs\" has no {family} prefix, flat attachment needs it")));
                }
                Some(pods) if !pods.contains_network(&cidr) => {
                    return Err(invalid(&format!("\"subnets\": {cidr} is not within the pod CIDR {pods}")));
                }
                _ => {}
            }
            let pool = Pool::of(&cidr).map_err(|details| invalid(&format!("\"subnets\": {details}")))?;
            subnets.push(Subnet { cidr, node, pods, pool, requested: None });
        }
        request(&mut subnets, &self.wanted()?)?;
        Ok(subnets)
    }

    fn known_keys(&self) -> Result<(), Error> {
        for (key, value) in &self.object {
            // "cni.dev/..." is the specification's, other slashes are somebody's domain.
            let known = KEYS.contains(&key.as_str()) || key == BOOT_ID_KEY || key.contains('/');
            let hint = match key.as_str() {
                "ipam" if value.as_object().is_some_and(Map::is_empty) => continue,
                "ipam" => ": evio-cni allots the addresses of \"subnets\" itself",
                _ if known => continue,
                _ => "",
            };
            return Err(Error::new(Code::UnsupportedField, format!("{key:?} is {value}{hint}")));
        }
        Ok(())
    }
}

/// Puts each wanted address to the subnet it is of.
pub fn request(subnets: &mut [Subnet], wanted: &[IpAddr]) -> Result<(), Error> {
    for address in wanted {
        let subnet = subnets.iter_mut().find(|subnet| subnet.pool.contains(*address)).ok_or_else(|| {
            invalid(&format!("the address {address} is asked for and is not one this node gives to pods"))
        })?;
        if subnet.requested.is_some_and(|other| other != *address) {
            return Err(invalid(&format!("more than one {} address is asked for", Family::of(*address))));
        }
        subnet.requested = Some(*address);
    }
    Ok(())
}

fn invalid(details: &str) -> Error {
    Error::new(Code::InvalidConfig, details)
}

fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Error> {
    match object.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(other) => Err(invalid(&format!("{key:?} is {other}, must be a string"))),
    }
}

fn strings<'a>(object: &'a Map<String, Value>, key: &str) -> Result<Vec<&'a str>, Error> {
    let wrong = |value: &Value| invalid(&format!("{key:?} is {value}, must be a list of strings"));
    match object.get(key) {
        None => Ok(vec![]),
        Some(Value::Array(list)) => list.iter().map(|item| item.as_str().ok_or_else(|| wrong(item))).collect(),
        Some(other) => Err(wrong(other)),
    }
}

fn path(object: &Map<String, Value>, key: &str, default: &str) -> Result<PathBuf, Error> {
    let text = string(object, key)?.unwrap_or(default);
    if text.starts_with('/') && !text.contains('\0') {
        Ok(PathBuf::from(text))
    } else {
        Err(invalid(&format!("{key:?} is {text:?}, must be an absolute path")))
    }
}

fn one_per_family(key: &str, families: impl Iterator<Item = Family>) -> Result<(), Error> {
    let mut seen = vec![];
    for family in families {
        if seen.contains(&family) {
            return Err(invalid(&format!("{key:?} has more than one {family} entry")));
        }
        seen.push(family);
    }
    Ok(())
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
