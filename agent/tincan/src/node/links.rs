//! The kernel's side of the node: bridge, tap, addresses and neighbour entries, made and mended.

use std::net::IpAddr;

use serde_json::json;

use super::Node;
use crate::control::Failure;
use crate::io::netlink::{summary, Change, ChangedNeighbour, Changes, Desired, Neighbour, Netlink, NetlinkError};
use crate::io::tap::Tap;
use crate::log;
use crate::session::Now;
use crate::time::{Micros, SECOND};
use crate::wire::Certificate;

/// From one attempt to set the links right to the next, while that fails.
const RETRY: Micros = SECOND;

/// What happened to the tap's descriptor, for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapChange {
    /// Somebody removed the tap: its descriptor is dead and would be reported ready for ever.
    Lost,
    /// There is a new one.
    Renewed,
}

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
            tap: self.bridge.tap.clone(),
            mac: certificate.mac(),
            mtu: self.sessions.parameters().mtu,
            addresses: addresses(certificate),
            neighbours,
        }
    }

    /// Makes bridge, tap, addresses and neighbour entries as they should be.
    pub(super) fn ensure_links(&mut self, now: Now) -> Result<(), Failure> {
        self.ensure_at = None;
        let desired = self.desired();
        let renewed = std::mem::take(&mut self.tap_lost) && self.renew_tap()?;
        let (ensured, renewed) = match self.netlink.ensure(&desired) {
            Err(NetlinkError::NoTap(_)) => {
                let renewed = self.renew_tap()?;
                (self.netlink.ensure(&desired), renewed)
            }
            ensured => (ensured, renewed),
        };
        let changes = ensured.map_err(|error| Failure::system(error.to_string()))?;
        for refused in &changes.refused {
            log!(Warn, "the system refused a setting", setting = refused);
        }
        self.repaired(&desired, &changes, renewed, now);
        self.ensured = Some(desired);
        Ok(())
    }

    /// Takes away what was made for a start that failed; what was there `before` stays.
    pub(super) fn undo_links(self, before: &[String]) {
        let Node { tap, mut netlink, bridge, .. } = self;
        let made = |name: &str| !before.iter().any(|link| link == name);
        if made(&bridge.tap) {
            let _ = tap.forget();
        }
        if made(&bridge.name) {
            let _ = netlink.remove(&bridge.name, "");
        }
    }

    /// What somebody had changed behind our back is said; what follows from another member or certificate is no news.
    fn repaired(&mut self, desired: &Desired, changes: &Changes, tap: bool, now: Now) {
        let Some(before) = &self.ensured else { return };
        let same = before == desired;
        let repairs: Vec<Change> = changes.made.iter().filter(|c| same || c.is_structure()).cloned().collect();
        let made = tap.then(|| format!("make tap {}", desired.tap));
        let what: Vec<String> =
            made.into_iter().chain(Some(summary(&repairs)).filter(|text| !text.is_empty())).collect();
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

    /// Reading the tap failed. A descriptor without its tap (EBADFD) never comes back.
    pub(super) fn tap_failed(&mut self, error: &std::io::Error) {
        self.counters.add("tapRead");
        if error.raw_os_error() == Some(libc::EBADFD) && self.tap_change != Some(TapChange::Lost) {
            self.tap_change = Some(TapChange::Lost);
            self.tap_lost = true;
            self.ensure_at = Some(0);
        }
    }

    /// Always true: the tap is another one now.
    fn renew_tap(&mut self) -> Result<bool, Failure> {
        let opened = Tap::open(&self.bridge.tap).map_err(|error| {
            self.tap_lost = true;
            Failure::system(error.to_string())
        })?;
        // Most likely it is gone. If it was renamed it must not stay behind.
        let _ = std::mem::replace(&mut self.tap, opened).forget();
        self.tap_change = Some(TapChange::Renewed);
        self.tap_lost = false;
        Ok(true)
    }

    /// What became of the tap since the last call.
    pub fn take_tap_change(&mut self) -> Option<TapChange> {
        self.tap_change.take()
    }
}
