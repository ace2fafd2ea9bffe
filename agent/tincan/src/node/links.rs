//! The kernel's side of the node: bridge, tap, addresses, neighbour entries and routes, made and mended.

use std::net::IpAddr;

use serde_json::json;

use super::Node;
use crate::control::Failure;
use crate::io::netlink::{
    matters, summary, Change, ChangedNeighbour, ChangedRoute, Changes, Desired, Neighbour, Netlink, NetlinkError,
};
use crate::log;
use crate::session::Now;
use crate::time::{Micros, SECOND};
use crate::wire::Certificate;

/// From one attempt to set the links right to the next, while that fails.
const RETRY: Micros = SECOND;
/// The same for a route alone, without which all else is in place.
const RETRY_ROUTES: Micros = 5 * SECOND;

/// An address that another link of this machine has would be answered by that one: nothing would reach the overlay, and nobody
/// would know why.
pub(super) fn refuse_taken(netlink: &mut Netlink, certificate: &Certificate, bridge: &str) -> Result<(), Failure> {
    let v4 = certificate.ipv4.iter().map(|&(ip, _)| (IpAddr::V4(ip), 4));
    let v6 = certificate.ipv6.iter().map(|&(ip, _)| (IpAddr::V6(ip), 6));
    for (address, family) in v4.chain(v6) {
        let holder = netlink.holder(address, bridge).map_err(|error| Failure::system(error.to_string()))?;
        if let Some(link) = holder {
            return Err(Failure::system(format!(
                "{address} of this node is an address of {link} already: take it away there, or enrol the node with another one (--address{family})"
            )));
        }
    }
    Ok(())
}

impl Node {
    fn desired(&self) -> Desired {
        let certificate = self.sessions.certificate();
        let addresses = |certificate: &Certificate| -> Vec<(IpAddr, u8)> {
            let v4 = certificate.ipv4.iter().map(|&(ip, prefix)| (IpAddr::V4(ip), prefix));
            v4.chain(certificate.ipv6.iter().map(|&(ip, prefix)| (IpAddr::V6(ip), prefix))).collect()
        };
        let entries = self.sessions.members().flat_map(|member| {
            let ips = addresses(&member.certificate).into_iter().map(|(ip, _)| ip);
            Neighbour::of_member(ips, member.certificate.mac()).collect::<Vec<_>>()
        });
        let mut neighbours: Vec<Neighbour> = entries.collect();
        neighbours.sort_unstable();
        Desired {
            bridge: self.bridge.name.clone(),
            taps: self.taps.names(),
            attach: self.bridge.per_tunnel.is_none(),
            mac: certificate.mac(),
            mtu: self.sessions.parameters().mtu,
            addresses: addresses(certificate),
            neighbours,
            routes: self.routes(),
        }
    }

    /// Makes bridge, taps, addresses, neighbour entries and routes as they should be.
    pub(super) fn ensure_links(&mut self, now: Now) -> Result<(), Failure> {
        self.ensure_at = None;
        let (mut made, mut failure) = self.taps.open_missing();
        let mut desired = self.desired();
        let mut patience = desired.taps.len();
        let ensured = loop {
            match self.netlink.ensure(&desired) {
                Err(NetlinkError::NoTap(name)) if patience > 0 && self.taps.lose_named(&name) => {
                    patience -= 1;
                    let (again, failed) = self.taps.open_missing();
                    made.extend(again);
                    failure = failure.or(failed);
                    desired = self.desired();
                }
                ensured => break ensured,
            }
        };
        for (id, _) in &made {
            // Who waits for a tap that was missing hears that it is there.
            self.event_tunnel(*id, now);
        }
        let changes = ensured.map_err(|error| Failure::system(error.to_string()))?;
        for refused in &changes.refused {
            log!(Warn, "the system refused a setting", setting = refused);
        }
        let names: Vec<String> = made.into_iter().map(|(_, name)| name).collect();
        self.repaired(&desired, &changes, &names, now);
        self.ensured = Some(desired);
        if !changes.unset.is_empty() {
            self.ensure_at = Some(now.us + RETRY_ROUTES);
        }
        self.routes_are(&changes);
        failure.map_or(Ok(()), |error| Err(Failure::system(error.to_string())))
    }

    /// Takes away what was made for a start that failed; what was there `before` stays.
    pub(super) fn undo_links(self, before: &[String]) {
        let Node { taps, mut netlink, bridge, .. } = self;
        // Of an unreachable prefix nothing else would remind anybody.
        let _ = netlink.remove_routes(&bridge.name);
        if bridge.per_tunnel.is_some() {
            return;
        }
        let made = |name: &str| !before.iter().any(|link| link == name);
        if made(&bridge.tap) {
            taps.forget(&[]);
        }
        if made(&bridge.name) {
            let _ = netlink.remove(&bridge.name, "");
        }
    }

    /// Removes routes, firewall, bridge and taps, for good. A bridge that somebody else made is his.
    pub fn remove_links(mut self) -> Result<(), NetlinkError> {
        self.remove_firewall();
        let Node { taps, bridge, .. } = self;
        let mut netlink = Netlink::open()?;
        netlink.remove_routes(&bridge.name)?;
        taps.forget(&netlink.names()?);
        match bridge.per_tunnel {
            Some(_) => Ok(()),
            None => netlink.remove(&bridge.name, &bridge.tap),
        }
    }

    /// What somebody had changed behind our back is said; what follows from another member or certificate is no news.
    fn repaired(&mut self, desired: &Desired, changes: &Changes, made: &[String], now: Now) {
        let Some(before) = &self.ensured else { return };
        let same = before == desired;
        // Neither is what the tap of a new tunnel needs.
        let new = |tap: &String| desired.taps.contains(tap) && !before.taps.contains(tap);
        let of_new = |change: &Change| change.link().is_some_and(|link| new(&link.to_owned()));
        // A route that is not wanted is one we made by an earlier certificate, or that of pods that are on the bridge by now.
        let obsolete = |change: &&Change| matches!(change, Change::RemoveRoute { .. });
        let news = changes.made.iter().filter(|change| (same || change.is_structure()) && !of_new(change));
        let news = news.filter(|change| !obsolete(change));
        let repairs: Vec<Change> = news.cloned().collect();
        let made = made.iter().map(|tap| format!("make tap {tap}"));
        let what: Vec<String> = made.chain(Some(summary(&repairs)).filter(|text| !text.is_empty())).collect();
        if what.is_empty() {
            return;
        }
        let what = what.join(", ");
        if let Some(unsaid) = self.seldom.say(&what, now.us) {
            log!(Warn, "something changed the links of this node; put right", did = what, again = unsaid);
            self.event("repaired", json!({ "what": what, "again": unsaid }));
        }
    }

    /// The links are compared with what they should be; when that fails, again and again.
    pub(super) fn mend_links(&mut self, now: Now) {
        let Err(failure) = self.ensure_links(now) else { return };
        self.ensure_at = Some(now.us + RETRY);
        if let Some(unsaid) = self.seldom.say(&failure.message, now.us) {
            log!(Warn, "cannot set the links right", reason = failure.message, again = unsaid);
            self.event("unrepaired", json!({ "reason": failure.message, "again": unsaid }));
        }
    }

    /// Routes changed: ours by somebody else, or others that meet ours?
    pub fn routes_changed(&mut self, changed: &[ChangedRoute], now: Now) {
        if self.excluded.any() && !changed.is_empty() {
            // A tunnel's way may lead out by another link now.
            self.look_at = self.look_at.min(now.us + super::SETTLE);
        }
        let (Some(bridge), Some(desired)) = (self.netlink.bridge(), &self.ensured) else { return };
        if changed.iter().any(|entry| matters(desired, bridge, &entry.route, entry.gone)) {
            self.ensure_at.get_or_insert(now.us + super::SETTLE);
        }
    }

    /// Neighbour entries changed: those of members, by somebody else than us?
    pub fn neighbours_changed(&mut self, changed: &[ChangedNeighbour], now: Now) {
        let (Some(bridge), Some(desired)) = (self.netlink.bridge(), &self.ensured) else { return };
        let harmed = |entry: &ChangedNeighbour| {
            let at = desired.neighbours.binary_search_by_key(&entry.address, |neighbour| neighbour.address);
            let wanted = at.ok().and_then(|at| desired.neighbours.get(at));
            entry.link == bridge && wanted.is_some_and(|wanted| entry.permanent != Some(wanted.mac))
        };
        if changed.iter().any(harmed) {
            self.ensure_at.get_or_insert(now.us + super::SETTLE);
        }
    }
}
