//! The requests that make one attachment, in their order.

use std::time::Duration;

use crate::config::{Mode, Network};
use crate::error::{Code, Error};
use crate::io::messages::{self, Pair};
use crate::io::netlink::{Netlink, Refused};
use crate::io::netns::Namespace;
use crate::io::sysctl;
use crate::names::{alias, Names};
use crate::net::{Family, Mac};
use crate::plan::{bridge_address, PodAddress};

use super::Pod;

/// Together as long as the kernel may take to notice a link (a second), which is not worth failing for.
const CARRIER_TRIES: u32 = 500;
const CARRIER_NAP: Duration = Duration::from_millis(2);

/// Everything about one attachment that is decided before the kernel is asked.
pub struct Wiring<'a> {
    pub network_name: &'a str,
    pub network: &'a Network,
    pub pod: &'a Pod,
    pub host: String,
    pub host_mac: Mac,
    pub pod_mac: Mac,
    pub addresses: Vec<PodAddress>,
}

/// Where the two ends are.
pub struct Places<'a> {
    pub home: &'a Namespace,
    pub kernel: &'a mut Netlink,
    pub netns: &'a Namespace,
    pub inside: &'a mut Netlink,
}

impl<'a> Wiring<'a> {
    pub fn new(
        network_name: &'a str,
        network: &'a Network,
        pod: &'a Pod,
        names: &Names,
        addresses: Vec<PodAddress>,
    ) -> Self {
        let plain: Vec<_> = addresses.iter().map(|address| address.cidr.address).collect();
        let (host, host_mac, pod_mac) = (names.host(), names.host_mac(), names.pod_mac(&plain));
        Self { network_name, network, pod, host, host_mac, pod_mac, addresses }
    }

    fn ifname(&self) -> &str {
        &self.pod.attachment.ifname
    }

    fn has_v6(&self) -> bool {
        self.addresses.iter().any(|address| address.cidr.family() == Family::V6)
    }

    /// Makes it so. What a failure leaves goes with the host's end.
    pub fn make(&self, places: &mut Places<'_>) -> Result<(), Error> {
        for address in &self.addresses {
            sysctl::forward(address.cidr.family(), None)?;
        }
        let bridge = match self.network.mode {
            Mode::Flat => Some(self.bridge(places.kernel)?),
            Mode::Routed => None,
        };
        let host = self.pair(places, bridge)?;
        for address in &self.addresses {
            sysctl::forward(address.cidr.family(), Some(&self.host))?;
        }
        places.netns.inside(places.home, || sysctl::pod_link(self.ifname(), self.has_v6()))?;
        self.inside(places.inside)?;
        if self.network.mode == Mode::Routed {
            let neighbours =
                self.addresses.iter().map(|pod| messages::add_neighbour(host, pod.cidr.address, self.pod_mac));
            let routes = self.addresses.iter().map(|pod| messages::add_host_route(host, pod.cidr.address));
            places.kernel.batch(neighbours.chain(routes).collect())?;
        }
        self.wait_for_carrier(places.kernel)
    }

    /// The host's end was up first and waits for the kernel to notice the other one (net/core/link_watch.c); what it sends before is
    /// lost. From Linux 6.8 on being asked for the link is what makes the kernel look.
    fn wait_for_carrier(&self, kernel: &mut Netlink) -> Result<(), Error> {
        for _ in 0..CARRIER_TRIES {
            if kernel.link(&self.host)?.is_none_or(|link| link.is_ready) {
                break;
            }
            std::thread::sleep(CARRIER_NAP);
        }
        Ok(())
    }

    /// Flat: the index of the bridge, with our addresses on it.
    fn bridge(&self, kernel: &mut Netlink) -> Result<u32, Error> {
        let name = &self.network.bridge;
        let bridge = kernel.link(name)?.ok_or_else(|| {
            let details = format!("there is no bridge {name} on this node yet: is Evio's dataplane running?");
            Error::new(Code::TryAgainLater, details)
        })?;
        if !bridge.is_bridge {
            let details = format!("\"bridge\" is {name:?}, which is no Linux bridge: flat attachment needs one");
            return Err(Error::new(Code::InvalidConfig, details));
        }
        let has = kernel.addresses(bridge.index)?;
        let wanted = self.network.subnets.iter().map(bridge_address);
        let missing: Vec<_> = wanted.filter(|address| !has.contains(address)).collect();
        if !missing.is_empty() {
            kernel.batch(missing.iter().map(|address| messages::add_address(bridge.index, name, address)).collect())?;
        }
        Ok(bridge.index)
    }

    /// Makes the pair; the index of the host's end, which is up.
    fn pair(&self, places: &mut Places<'_>, bridge: Option<u32>) -> Result<u32, Error> {
        let refused = match self.try_pair(places, bridge) {
            Ok(index) => return Ok(index),
            Err(refused) => refused,
        };
        if refused.errno() != libc::EEXIST {
            return Err(refused.into());
        }
        // Either end's name is taken. The host's nobody else has: that is a link of this attachment whose record is gone.
        if places.kernel.delete_link(&self.host)? {
            match self.try_pair(places, bridge) {
                Ok(index) => return Ok(index),
                Err(refused) if refused.errno() != libc::EEXIST => return Err(refused.into()),
                Err(_) => {}
            }
        }
        Err(exists(self.ifname()))
    }

    fn try_pair(&self, places: &mut Places<'_>, bridge: Option<u32>) -> Result<u32, Refused> {
        let pair = Pair {
            host: &self.host,
            host_mac: self.host_mac,
            pod: self.ifname(),
            pod_mac: self.pod_mac,
            netns: places.netns.fd(),
            mtu: self.network.mtu,
        };
        // Its own request: of several that are refused the first is named, and after it the others make no sense.
        places.kernel.batch(vec![messages::create_pair(&pair)])?;
        let alias = alias(self.network_name, &self.pod.attachment, self.pod.args.pod.as_deref());
        let mut requests = vec![messages::set_alias(&self.host, &alias)];
        if sysctl::has_ipv6() {
            requests.push(messages::no_link_local(&self.host));
        }
        if let Some(bridge) = bridge {
            requests.extend([messages::attach(&self.host, bridge), messages::hairpin(&self.host)]);
        }
        requests.extend([messages::set_up(&self.host), messages::get_link(&self.host)]);
        let parts = places.kernel.batch(requests)?;
        index_of(&parts, &self.host)
    }

    /// The pod's end: up, with addresses, the way to the node, and the default routes.
    fn inside(&self, inside: &mut Netlink) -> Result<(), Error> {
        let name = self.ifname();
        let parts = inside.batch(vec![messages::set_up(name), messages::get_link(name)])?;
        let index = index_of(&parts, name)?;
        let mut requests: Vec<_> =
            self.addresses.iter().map(|pod| messages::add_address(index, name, &pod.cidr)).collect();
        let routed = self.network.mode == Mode::Routed;
        if routed {
            requests
                .extend(self.addresses.iter().map(|pod| messages::add_neighbour(index, pod.gateway, self.host_mac)));
        }
        requests.extend(self.addresses.iter().map(|pod| messages::add_default_route(index, pod.gateway, routed)));
        inside.batch(requests)?;
        Ok(())
    }
}

/// What the specification says ADD must do then.
pub fn exists(ifname: &str) -> Error {
    let details = format!("the pod has an interface {ifname} already: DEL it first, or ask for another CNI_IFNAME");
    Error::new(Code::InterfaceExists, details)
}

fn index_of(parts: &[netlink_packet_route::RouteNetlinkMessage], name: &str) -> Result<u32, Refused> {
    let link = parts.iter().find_map(messages::link);
    link.map(|link| link.index).ok_or_else(|| Refused {
        what: format!("find the link {name} that was just made"),
        error: std::io::Error::other("the kernel's answer could not be read"),
    })
}
