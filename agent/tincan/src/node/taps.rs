//! The taps of this node: one under the bridge that tincan makes, or one for each tunnel, ports of a switch that somebody else runs
//! (Open vSwitch; docs/wire.md §10.1, `perTunnel`). What is read from a tunnel's tap has that tunnel as its first hop, what came by a
//! tunnel is written to its tap, and the carrier of a tap tells that switch whether its tunnel has a path.

use std::os::fd::{AsRawFd, RawFd};

use super::tunnels::FIRST_PORT;
use super::Node;
use crate::control::Bridge;
use crate::frame::{Delivery, Tagged};
use crate::io::tap::{Tap, TapError};
use crate::log;
use crate::session::Now;
use crate::time::{Micros, SECOND};
use crate::wire::{Label, Mac};

/// The number of the one tap, where there is only one; those of tunnels have the numbers of their ports.
pub const ONE: u32 = 0;
/// Taps that an earlier tincan left wait so long for the agent to add their tunnels again: the other switch keeps its ports.
const LEFT_OVER: Micros = 30 * SECOND;
/// IFNAMSIZ without its zero.
const NAME_MAX: usize = 15;

pub struct Taps {
    kind: Kind,
    /// Opened and not waited for yet.
    fresh: Vec<u32>,
}

enum Kind {
    One(Slot),
    Each(Each),
}

struct Slot {
    name: String,
    /// None: somebody removed it, and it could not be made again yet.
    tap: Option<Tap>,
    /// Its tunnel has a path.
    up: bool,
}

struct Each {
    prefix: String,
    /// By port, the first tunnel's first: a frame finds its tap without a search.
    slots: Vec<Option<Box<Slot>>>,
    sweep_at: Option<Micros>,
}

impl Each {
    fn slot(&self, port: u32) -> Option<&Slot> {
        self.slots.get(index(port)?)?.as_deref()
    }

    fn slot_mut(&mut self, port: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index(port)?)?.as_deref_mut()
    }

    fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten().map(|slot| &**slot)
    }

    /// For what belongs to no tunnel any more.
    fn any(&self) -> Option<&Tap> {
        let up = self.iter().filter(|slot| slot.up).find_map(|slot| slot.tap.as_ref());
        up.or_else(|| self.iter().find_map(|slot| slot.tap.as_ref()))
    }
}

fn index(port: u32) -> Option<usize> {
    usize::try_from(port.checked_sub(FIRST_PORT)?).ok()
}

impl Slot {
    /// A tap without its tunnel's path has no carrier from the first moment: whatever goes into it is lost.
    fn open(&mut self) -> Result<(), TapError> {
        let tap = Tap::open_silent(&self.name)?;
        tap.set_carrier(self.up)?;
        self.tap = Some(tap);
        Ok(())
    }
}

/// Prefix and first digits of the label. Where another neighbour has just those (2^32 labels are enough to find one), the later of
/// both has the digits after them.
fn tap_name(prefix: &str, label: Label, taken: impl Fn(&str) -> bool) -> String {
    let digits = label.to_string();
    let length = NAME_MAX.saturating_sub(prefix.len()).min(digits.len());
    let name = |at: usize| format!("{prefix}{}", digits.get(at..at + length).unwrap_or(&digits));
    (0..=digits.len() - length).map(name).find(|name| !taken(name)).unwrap_or_else(|| name(0))
}

fn could_be_ours(prefix: &str, name: &str) -> bool {
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == NAME_MAX && name.strip_prefix(prefix).is_some_and(|digits| digits.bytes().all(hex))
}

impl Taps {
    pub fn open(bridge: &Bridge, now: Micros) -> Result<Self, TapError> {
        Ok(match &bridge.per_tunnel {
            None => {
                let tap = Tap::open(&bridge.tap)?;
                let slot = Slot { name: bridge.tap.clone(), tap: Some(tap), up: true };
                Self { kind: Kind::One(slot), fresh: vec![ONE] }
            }
            Some(per_tunnel) => {
                let prefix = per_tunnel.prefix.clone();
                let each = Each { prefix, slots: vec![], sweep_at: Some(now + LEFT_OVER) };
                Self { kind: Kind::Each(each), fresh: vec![] }
            }
        })
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let (one, each) = match &self.kind {
            Kind::One(slot) => (Some(slot), None),
            Kind::Each(each) => (None, Some(each)),
        };
        one.into_iter().chain(each.into_iter().flat_map(Each::iter))
    }

    fn slots_mut(&mut self) -> Vec<(u32, &mut Slot)> {
        match &mut self.kind {
            Kind::One(slot) => vec![(ONE, slot)],
            Kind::Each(each) => {
                let slots = each.slots.iter_mut().zip(FIRST_PORT..);
                slots.filter_map(|(slot, port)| Some((port, slot.as_deref_mut()?))).collect()
            }
        }
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut Slot> {
        match &mut self.kind {
            Kind::One(slot) => Some(slot),
            Kind::Each(each) => each.slot_mut(id),
        }
    }

    // ---- frames ----

    pub fn get(&self, id: u32) -> Option<&Tap> {
        match &self.kind {
            Kind::One(slot) => slot.tap.as_ref(),
            Kind::Each(each) => each.slot(id)?.tap.as_ref(),
        }
    }

    /// The tunnel by which a frame read from this tap leaves, if that has a path: the other switch has decided.
    pub fn first_hop(&self, id: u32) -> Option<u32> {
        match &self.kind {
            Kind::One(_) => None,
            Kind::Each(each) => each.slot(id).filter(|slot| slot.up).map(|_| id),
        }
    }

    /// One under tincan's own bridge.
    pub fn is_one(&self) -> bool {
        matches!(self.kind, Kind::One(_))
    }

    /// Whether this kernel takes super-frames inside UDP tunnels, as far as the taps that are there tell.
    pub fn accept_tunnels(&self) -> bool {
        let mut taps = self.slots().filter_map(|slot| slot.tap.as_ref()).peekable();
        taps.peek().is_some() && taps.all(Tap::takes_tunnels)
    }

    /// Writes what came by the tunnel `port` (0: by none); `own` is the bridge's MAC. Answers what there is to count, if anything.
    pub fn write(&self, port: u32, delivery: &Delivery<'_>, own: Mac) -> Option<&'static str> {
        let (tap, tagged, odd) = match &self.kind {
            Kind::One(slot) => (slot.tap.as_ref(), Tagged::of(delivery, own), None),
            Kind::Each(each) => match each.slot(port).and_then(|slot| slot.tap.as_ref()) {
                Some(tap) => (Some(tap), None, None),
                None => (each.any(), None, (port != 0).then_some("tapOther")),
            },
        };
        let written = tap.map(|tap| match &tagged {
            Some(tagged) => tap.write(tagged.parts()),
            None => tap.write(delivery.parts()),
        });
        match written {
            Some(Ok(())) => odd,
            _ => Some("tapWrite"),
        }
    }

    // ---- coming and going ----

    /// How the switch's port 1 is called, whichever of them a frame came by.
    pub fn port_name(&self) -> &str {
        match &self.kind {
            Kind::One(slot) => &slot.name,
            Kind::Each(each) => &each.prefix,
        }
    }

    /// Those that are there.
    pub fn names(&self) -> Vec<String> {
        self.slots().filter(|slot| slot.tap.is_some()).map(|slot| slot.name.clone()).collect()
    }

    /// The tap that the tunnel has to itself.
    pub fn of_tunnel(&self, port: u32) -> Option<&str> {
        match &self.kind {
            Kind::One(_) => None,
            Kind::Each(each) => each.slot(port).filter(|slot| slot.tap.is_some()).map(|slot| slot.name.as_str()),
        }
    }

    pub fn is_missing(&self) -> bool {
        self.slots().any(|slot| slot.tap.is_none())
    }

    /// Those to be waited for from now on.
    pub fn take_fresh(&mut self) -> Vec<(u32, RawFd)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter_map(|id| Some((id, self.get(id)?.as_raw_fd()))).collect()
    }

    /// Makes or takes over the tap of a new tunnel, if each has one. One that cannot be had now is missing.
    fn add(&mut self, port: u32, label: Label) -> bool {
        let Kind::Each(each) = &mut self.kind else { return false };
        let name = tap_name(&each.prefix, label, |name| each.iter().any(|slot| slot.name == name));
        let Some(at) = index(port) else { return false };
        if each.slots.len() <= at {
            each.slots.resize_with(at + 1, || None);
        }
        let mut slot = Slot { name, tap: None, up: false };
        if slot.open().is_ok() {
            self.fresh.push(port);
        }
        if let Some(place) = each.slots.get_mut(at) {
            *place = Some(Box::new(slot));
        }
        true
    }

    fn remove(&mut self, port: u32) {
        let Kind::Each(each) = &mut self.kind else { return };
        let slot = index(port).and_then(|at| each.slots.get_mut(at)).and_then(Option::take);
        if let Some(tap) = slot.and_then(|slot| slot.tap) {
            let _ = tap.forget();
        }
    }

    /// Gives or takes the carrier of a tunnel's own tap.
    pub fn set_up(&mut self, port: u32, up: bool) {
        let Kind::Each(each) = &mut self.kind else { return };
        let Some(slot) = each.slot_mut(port) else { return };
        slot.up = up;
        // One that somebody removed is found when it is read, and gets its carrier when it is made again.
        if let Some(Err(reason)) = slot.tap.as_ref().map(|tap| tap.set_carrier(up)) {
            log!(Debug, "no carrier can be set", tap = slot.name, reason = reason);
        }
    }

    /// It is gone. If it only was renamed it must not stay behind.
    pub(super) fn lose(&mut self, id: u32) -> bool {
        let lost = self.slot_mut(id).and_then(|slot| slot.tap.take());
        lost.map(Tap::forget).is_some()
    }

    pub(super) fn lose_named(&mut self, name: &str) -> bool {
        let named = self.slots_mut().into_iter().find(|(_, slot)| slot.name == name).map(|(id, _)| id);
        named.is_some_and(|id| self.lose(id))
    }

    /// Makes again what is missing: the numbers and names of what is there again, and why not all is.
    pub(super) fn open_missing(&mut self) -> (Vec<(u32, String)>, Option<TapError>) {
        let (mut made, mut failure) = (vec![], None);
        if !self.is_missing() {
            return (made, failure);
        }
        let one = matches!(self.kind, Kind::One(_));
        for (id, slot) in self.slots_mut().into_iter().filter(|(_, slot)| slot.tap.is_none()) {
            let opened = if one { Tap::open(&slot.name).map(|tap| slot.tap = Some(tap)) } else { slot.open() };
            match opened {
                Ok(()) => made.push((id, slot.name.clone())),
                Err(error) => failure = Some(error),
            }
        }
        self.fresh.extend(made.iter().map(|(id, _)| *id));
        (made, failure)
    }

    /// Lets the kernel remove all that are there; `links` are the names of all links: of a tap for each tunnel those that an earlier
    /// tincan left go too.
    pub(super) fn forget(self, links: &[String]) {
        let leftovers = self.leftovers(links);
        let (one, each) = match self.kind {
            Kind::One(slot) => (Some(slot), vec![]),
            Kind::Each(each) => (None, each.slots),
        };
        for tap in each.into_iter().flatten().map(|slot| *slot).chain(one).filter_map(|slot| slot.tap) {
            let _ = tap.forget();
        }
        for name in &leftovers {
            remove_unheld(name);
        }
    }

    pub(super) fn sweep_at(&self) -> Option<Micros> {
        match &self.kind {
            Kind::One(_) => None,
            Kind::Each(each) => each.sweep_at,
        }
    }

    /// Links named like taps of tunnels, and no tunnel of ours has them.
    fn leftovers(&self, links: &[String]) -> Vec<String> {
        let Kind::Each(each) = &self.kind else { return vec![] };
        let own = |name: &str| each.iter().any(|slot| slot.name == name);
        links.iter().filter(|name| could_be_ours(&each.prefix, name) && !own(name)).cloned().collect()
    }

    fn sweep(&mut self, links: &[String]) {
        if let Kind::Each(each) = &mut self.kind {
            each.sweep_at = None;
        }
        for name in self.leftovers(links) {
            if remove_unheld(&name) {
                log!(Info, "removed a tap without a tunnel", tap = name);
            }
        }
    }
}

/// Only a tap that nobody holds can be opened: another overlay's tincan keeps its own.
fn remove_unheld(name: &str) -> bool {
    Tap::open_silent(name).and_then(Tap::forget).is_ok()
}

impl Node {
    pub(super) fn add_tap(&mut self, port: u32, label: Label, now: Now) {
        if self.taps.add(port, label) {
            // MTU and up; many tunnels that are added in a row cost one look.
            self.ensure_at = Some(now.us);
        }
    }

    pub(super) fn remove_tap(&mut self, port: u32) {
        self.taps.remove(port);
    }

    /// Reading a tap failed. A descriptor without its tap (EBADFD) never comes back.
    pub(super) fn tap_failed(&mut self, id: u32, error: &std::io::Error) {
        self.counters.add("tapRead");
        if error.raw_os_error() == Some(libc::EBADFD) && self.taps.lose(id) {
            self.ensure_at = Some(0);
        }
    }

    pub(super) fn sweep_taps(&mut self, now: Now) {
        if self.taps.sweep_at().is_none_or(|at| now.us < at) {
            return;
        }
        // What cannot be listed now stays: a tap without carrier harms nobody.
        let links = self.netlink.names().unwrap_or_default();
        self.taps.sweep(&links);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label = Label(0x0123_4567_89ab_cdef);

    #[test]
    fn a_tap_is_named_after_the_beginning_of_its_neighbour_s_label() {
        assert_eq!(tap_name("ev", LABEL, |_| false), "ev0123456789abc");
        assert_eq!(tap_name("evio0t-", LABEL, |_| false), "evio0t-01234567");
        assert!(could_be_ours("ev", "ev0123456789abc"));
    }

    #[test]
    fn of_two_neighbours_with_the_same_beginning_the_second_has_the_next_digits() {
        assert_eq!(tap_name("evio0t-", LABEL, |name| name.ends_with("01234567")), "evio0t-12345678");
        assert_eq!(tap_name("evio0t-", LABEL, |_| true), "evio0t-01234567");
    }

    #[test]
    fn links_with_other_names_are_nobody_s_leftovers() {
        for name in ["ev0", "ev0123456789ab", "ev0123456789abC", "ev0123456789abg", "xx0123456789abc", "evio0-tap"] {
            assert!(!could_be_ours("ev", name), "{name}");
        }
    }
}
