//! The node's own candidate addresses: its interfaces', what STUN servers see, and what peers see.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::outlet::Way;
use super::Node;
use crate::log;
use crate::session::Now;
use crate::tunnel::eligible;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalCandidate {
    pub address: SocketAddr,
    /// False: reflexive.
    pub host: bool,
    pub server: Option<SocketAddr>,
}

impl Node {
    pub(super) fn set_stun(&mut self, servers: &[SocketAddr], now: Now) {
        self.stun_servers = servers.to_vec();
        self.choose_stun(now);
        self.stun_tick(now);
    }

    /// Asks those of the configured servers that are not reached by an excluded interface: what they see is that interface's address.
    pub(super) fn choose_stun(&mut self, now: Now) {
        let configured = self.stun_servers.clone();
        let servers: Vec<SocketAddr> = configured.into_iter().filter(|&server| self.may_send(server)).collect();
        self.stun.set_servers(&servers, now.us);
    }

    pub(super) fn stun_tick(&mut self, now: Now) {
        let Node { stun, outlet, .. } = self;
        let lost = stun.tick(now.us, |server, request| outlet.send(Way::Direct(server), request, false, now.us));
        if lost {
            self.gather_changed(now);
        }
    }

    pub(super) fn stun_received(&mut self, from: SocketAddr, datagram: &[u8], now: Now) {
        if self.stun.received(from, datagram, now.us) {
            self.gather_changed(now);
        } else if !self.stun.is_server(from) {
            self.counters.add("stunUnasked");
        }
    }

    /// Whether an address is one of this node's own, by which it sends and is reached: probing it would be talking to ourselves.
    pub(super) fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        address.port() == self.udp_port && (self.addresses.contains(&ip) || self.excluded.withholds(ip))
    }

    /// Looks at the interfaces' addresses anew.
    pub(super) fn gather(&mut self, now: Now) {
        let taps = self.taps.names();
        let mut own = vec![self.bridge.name.as_str(), self.bridge.tap.as_str()];
        own.extend(taps.iter().map(String::as_str));
        let excluded: Vec<&str> = self.excluded.names().iter().map(String::as_str).collect();
        match self.netlink.local_addresses(&own, &excluded) {
            Ok(found) => {
                self.excluded.found(&found);
                self.inside.clone_from(&found.inside);
                self.find_vxlan(&found);
                let addresses = found.offered.iter().map(|found| found.address.to_canonical()).collect();
                let before = std::mem::replace(&mut self.addresses, addresses);
                if before != self.addresses && !before.is_empty() {
                    self.stun.hurry(now.us);
                }
            }
            Err(error) => log!(Warn, "cannot read the addresses", error = error),
        }
        if self.excluded.any() {
            self.judge_ways(now);
        }
        self.gather_changed(now);
    }

    /// Tells the agent if the candidates are others than before.
    pub(super) fn gather_changed(&mut self, _now: Now) {
        let overlay = self.overlay_subnets();
        let host = self.addresses.iter().map(|&ip| LocalCandidate {
            address: SocketAddr::new(ip, self.udp_port),
            host: true,
            server: None,
        });
        let srflx =
            self.stun.mapped().map(|(server, address)| LocalCandidate { address, host: false, server: Some(server) });
        // What two neighbours see alike is our mapping, even where no STUN server answers.
        let observed: Vec<SocketAddr> = self.tunnels.iter().filter_map(|tunnel| tunnel.observed).collect();
        let agreed = observed
            .iter()
            .filter(|seen| observed.iter().filter(|other| other == seen).count() >= 2)
            .filter(|seen| !self.stun.mapped().any(|(_, mapped)| mapped == **seen))
            .filter(|seen| !self.is_own(**seen))
            .map(|&address| LocalCandidate { address, host: false, server: None });
        let local = host.chain(srflx).chain(agreed).filter(|c| eligible(c.address, &overlay)).collect();
        if self.local != local {
            self.local = local;
            let data = self.candidates_json();
            self.event("candidates", data);
        }
    }

    pub fn candidates_json(&self) -> serde_json::Value {
        let local: Vec<_> = self
            .local
            .iter()
            .map(|candidate| {
                json!({
                    "address": candidate.address.to_string(),
                    "type": if candidate.host { "host" } else { "srflx" },
                    "server": candidate.server.map(|server| server.to_string()),
                })
            })
            .collect();
        json!({ "local": local })
    }

    /// Whether the peer sees us by the address we have (`host`) or by another (`srflx`).
    pub(super) fn local_type(&self, local: Option<SocketAddr>, observed: Option<SocketAddr>) -> &'static str {
        let own = |ip: IpAddr| local.is_some_and(|local| local.ip().to_canonical() == ip.to_canonical());
        match observed {
            Some(seen) if !own(seen.ip()) => "srflx",
            _ => "host",
        }
    }
}
