//! Results of ADD as each version of the specification wants them (section 5), and as CHECK gets them back.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::error::{Code, Error};
use crate::net::{Cidr, Family, Mac};
use crate::plan::PodAddress;
use crate::version::Version;

/// What ADD made.
#[derive(Debug, Clone)]
pub struct Made<'a> {
    pub host: (&'a str, Mac),
    pub pod: (&'a str, Mac),
    pub netns: &'a str,
    pub mtu: u32,
    pub addresses: &'a [PodAddress],
}

/// The result in the format of `version`. A `previous` one of a plugin before us comes first, as it is.
pub fn render(version: Version, made: &Made<'_>, dns: Option<&Value>, previous: Option<&Value>) -> Value {
    let mut result = previous.and_then(Value::as_object).cloned().unwrap_or_default();
    result.insert("cniVersion".into(), version.text().into());
    let mut host = json!({ "name": made.host.0, "mac": made.host.1.to_string() });
    let mut pod = json!({ "name": made.pod.0, "mac": made.pod.1.to_string(), "sandbox": made.netns });
    if version.has_mtu() {
        host["mtu"] = made.mtu.into();
        pod["mtu"] = made.mtu.into();
    }
    let index = append(&mut result, "interfaces", vec![host, pod]) - 1;
    append(&mut result, "ips", made.addresses.iter().map(|pod| ip(version, pod, index)).collect());
    append(&mut result, "routes", made.addresses.iter().map(route).collect());
    match dns {
        Some(dns) => drop(result.insert("dns".into(), dns.clone())),
        None => drop(result.entry("dns").or_insert_with(|| json!({}))),
    }
    Value::Object(result)
}

fn ip(version: Version, pod: &PodAddress, interface: usize) -> Value {
    let mut ip = json!({ "address": pod.cidr.to_string(), "gateway": pod.gateway.to_string(), "interface": interface });
    if version.names_families() {
        ip["version"] = if pod.cidr.family() == Family::V4 { "4" } else { "6" }.into();
    }
    ip
}

fn route(pod: &PodAddress) -> Value {
    json!({ "dst": pod.cidr.family().everything().to_string(), "gw": pod.gateway.to_string() })
}

/// Puts entries behind those of the list under `key`; how many it has then.
fn append(result: &mut Map<String, Value>, key: &str, entries: Vec<Value>) -> usize {
    let mut list = match result.remove(key) {
        Some(Value::Array(list)) => list,
        _ => vec![],
    };
    list.extend(entries);
    let count = list.len();
    result.insert(key.to_owned(), list.into());
    count
}

/// The part of a result CHECK compares with the kernel; both formats of addresses have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub mac: Option<Mac>,
    pub addresses: Vec<Cidr>,
    /// Destinations of routes the pod should have.
    pub routes: Vec<(Cidr, Option<IpAddr>)>,
}

#[derive(Deserialize)]
struct Previous {
    #[serde(default)]
    interfaces: Vec<PreviousInterface>,
    #[serde(default)]
    ips: Vec<PreviousIp>,
    #[serde(default)]
    routes: Option<Vec<PreviousRoute>>,
}

#[derive(Deserialize)]
struct PreviousInterface {
    name: String,
    mac: Option<String>,
    sandbox: Option<String>,
}

#[derive(Deserialize)]
struct PreviousIp {
    address: String,
    interface: Option<u64>,
}

#[derive(Deserialize)]
struct PreviousRoute {
    dst: String,
    gw: Option<String>,
}

/// What `previous` says about the interface `ifname` in a sandbox.
pub fn expected(previous: &Value, ifname: &str) -> Result<Expected, Error> {
    let wrong = |details: String| Error::new(Code::InvalidConfig, format!("\"prevResult\": {details}"));
    let previous = Previous::deserialize(previous).map_err(|error| wrong(error.to_string()))?;
    let ours = |interface: &PreviousInterface| {
        interface.name == ifname && interface.sandbox.as_ref().is_some_and(|sandbox| !sandbox.is_empty())
    };
    let index = previous.interfaces.iter().position(ours);
    let index = index.ok_or_else(|| wrong(format!("no interface {ifname} in a sandbox")))?;
    let mac = match previous.interfaces.get(index).and_then(|interface| interface.mac.as_deref()) {
        None | Some("") => None,
        Some(text) => Some(Mac::parse(text).ok_or_else(|| wrong(format!("{text:?} is no MAC")))?),
    };
    let of_ours = previous.ips.iter().filter(|ip| ip.interface.is_some_and(|other| other == index as u64));
    let addresses = of_ours.map(|ip| Cidr::parse(&ip.address).map_err(wrong)).collect::<Result<Vec<_>, _>>()?;
    let routes = previous.routes.unwrap_or_default().iter().map(route_of).collect::<Result<_, _>>().map_err(wrong)?;
    Ok(Expected { mac, addresses, routes })
}

fn route_of(route: &PreviousRoute) -> Result<(Cidr, Option<IpAddr>), String> {
    let gateway = match route.gw.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| format!("{text:?} is no address"))?),
    };
    Ok((Cidr::parse(&route.dst)?.base(), gateway))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses() -> Vec<PodAddress> {
        [("10.244.3.5/32", "10.45.0.4"), ("fd00::5/128", "fe80::1")]
            .map(|(cidr, gateway)| PodAddress { cidr: Cidr::parse(cidr).unwrap(), gateway: gateway.parse().unwrap() })
            .to_vec()
    }

    fn rendered(version: Version, previous: Option<&Value>) -> Value {
        let addresses = addresses();
        let made = Made {
            host: ("evc0123456789a", Mac([0x0a, 1, 2, 3, 4, 5])),
            pod: ("eth0", Mac([2, 0x46, 10, 244, 3, 5])),
            netns: "/run/netns/p",
            mtu: 1400,
            addresses: &addresses,
        };
        render(version, &made, Some(&json!({ "nameservers": ["10.96.0.10"] })), previous)
    }

    #[test]
    fn each_version_has_its_format() {
        for version in Version::ALL {
            let result = rendered(version, None);
            assert_eq!(result["cniVersion"], version.text());
            assert_eq!(result["ips"][0].get("version").is_some(), version <= Version::V0_4_0, "{version:?}");
            assert_eq!(result["interfaces"][1].get("mtu").is_some(), version == Version::V1_1_0, "{version:?}");
            assert_eq!(result["interfaces"][0].get("sandbox"), None);
            assert_eq!(result["interfaces"][1]["sandbox"], "/run/netns/p");
            assert_eq!(result["ips"][1]["interface"], 1);
            assert_eq!(
                result["routes"],
                json!([{ "dst": "0.0.0.0/0", "gw": "10.45.0.4" }, { "dst": "::/0", "gw": "fe80::1" }])
            );
            assert_eq!(result["dns"]["nameservers"][0], "10.96.0.10");
        }
        let old = rendered(Version::V0_3_1, None);
        assert_eq!((&old["ips"][0]["version"], &old["ips"][1]["version"]), (&json!("4"), &json!("6")));
    }

    #[test]
    fn what_a_plugin_before_us_made_stays_in_front() {
        let previous =
            json!({ "cniVersion": "1.1.0", "interfaces": [{ "name": "x0" }], "ips": [], "dns": {}, "more": 1 });
        let result = rendered(Version::V1_1_0, Some(&previous));
        assert_eq!(result["interfaces"][0]["name"], "x0");
        assert_eq!(result["ips"][0]["interface"], 2);
        assert_eq!(result["more"], 1);
    }

    #[test]
    fn check_reads_back_what_add_wrote() {
        for version in Version::ALL {
            let expected = expected(&rendered(version, None), "eth0").unwrap();
            assert_eq!(expected.mac, Some(Mac([2, 0x46, 10, 244, 3, 5])));
            assert_eq!(
                expected.addresses.iter().map(Cidr::to_string).collect::<Vec<_>>(),
                ["10.244.3.5/32", "fd00::5/128"]
            );
            assert_eq!(expected.routes.len(), 2);
        }
    }

    #[test]
    fn a_result_without_our_interface_is_refused() {
        for previous in
            [json!({}), json!([]), json!({ "interfaces": [{ "name": "eth0" }] }), json!({ "interfaces": 1 })]
        {
            assert_eq!(expected(&previous, "eth0").unwrap_err().code, Code::InvalidConfig, "{previous}");
        }
    }

    proptest! {
        #[test]
        fn any_addresses_in_a_result_are_taken_or_refused(address in "\\PC{0,20}", dst in "\\PC{0,20}", gw in "\\PC{0,20}", mac in "\\PC{0,20}") {
            let previous = json!({
                "interfaces": [{ "name": "eth0", "sandbox": "/x", "mac": mac }],
                "ips": [{ "address": address, "interface": 0 }],
                "routes": [{ "dst": dst, "gw": gw }],
            });
            let _ = expected(&previous, "eth0");
        }
    }
}
