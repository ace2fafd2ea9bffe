//! The machine of one neighbour's paths.

use std::net::SocketAddr;

use super::choice::{clearly_better, remote_type, role, score};
use super::eligible::is_private;
use super::leg::{Duty, Leg, RemoteType, Role};
use super::mtu::{MtuSearch, BASE_RECORD};
use crate::time::{Micros, SECOND};

/// Candidates of one peer (wire.md §6.4).
pub const MAX_CANDIDATES: usize = 16;
/// Requests to one peer in one second (wire.md §6.4).
const PEER_PER_SECOND: u32 = 40;
/// A learned address that never proved itself is forgotten.
const PRFLX_LIFE: Micros = 15 * SECOND;
/// The path measures itself for this long before another one may replace it by its round trip alone.
const SETTLE: Micros = SECOND;

/// How long records count that were on their way by a relay channel when it was given up: the peer hears of that by its server.
const LINGER: Micros = 2 * SECOND;

/// By which way a record goes or came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    Direct(SocketAddr),
    Webrtc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    Direct,
    Webrtc,
    None,
}

impl PathKind {
    pub fn name(self) -> &'static str {
        match self {
            PathKind::Direct => "direct",
            PathKind::Webrtc => "webrtc",
            PathKind::None => "none",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Seal and send a probe request. `size` is the length the whole record shall have, 0 for no padding.
    Request { via: Via, challenge: [u8; 8], proven: bool, size: u16 },
    /// The path, its address, its liveness or its record size is another than before.
    Changed,
    /// This way works for small records only, and is not used.
    Narrow { via: Via },
    /// The peer's requests come by this way, and ours are not answered.
    OneWay { via: Via },
}

/// What an answer to the peer's request must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    pub proven: bool,
}

pub struct Paths {
    legs: Vec<Leg>,
    webrtc: Option<Leg>,
    /// The relay channel was given up while it worked: what is on its way by it still counts until then.
    webrtc_lingers: Option<Micros>,
    current: Option<Via>,
    current_since: Micros,
    /// Whose question counts when both ends ask at once.
    leads: bool,
    near: bool,
    /// Probes are sealed, so nothing can be asked before a session stands.
    session: bool,
    draw_challenge: fn() -> [u8; 8],
    bucket: u32,
    bucket_since: Micros,
    next_at: Option<Micros>,
    record_size: u16,
}

impl Paths {
    /// `leads`: true at one end of the tunnel, whichever, and false at the other.
    pub fn new(draw_challenge: fn() -> [u8; 8], leads: bool) -> Self {
        Self {
            legs: Vec::new(),
            webrtc: None,
            webrtc_lingers: None,
            current: None,
            current_since: 0,
            leads,
            near: false,
            session: false,
            draw_challenge,
            bucket: PEER_PER_SECOND,
            bucket_since: 0,
            next_at: None,
            record_size: BASE_RECORD,
        }
    }

    /// The path in use, if any.
    pub fn current(&self) -> Option<Via> {
        self.current
    }

    pub fn kind(&self) -> PathKind {
        match self.current {
            Some(Via::Direct(_)) => PathKind::Direct,
            Some(Via::Webrtc) => PathKind::Webrtc,
            None => PathKind::None,
        }
    }

    pub fn since(&self) -> Micros {
        self.current_since
    }

    /// Bytes a record may have on the path in use.
    pub fn record_size(&self) -> u16 {
        self.record_size
    }

    pub fn webrtc_up(&self) -> bool {
        self.webrtc.is_some()
    }

    pub fn rtt_us(&self) -> Option<u32> {
        self.leg(self.current?).and_then(|leg| leg.rtt_us)
    }

    pub fn loss_ppm(&self) -> u32 {
        self.current.and_then(|via| self.leg(via)).map_or(0, |leg| leg.loss_ppm)
    }

    pub fn remote_type(&self) -> Option<RemoteType> {
        self.leg(self.current?).map(|leg| leg.kind)
    }

    /// Every address known, with whether it is proven.
    pub fn candidates(&self) -> impl Iterator<Item = (SocketAddr, bool)> + '_ {
        self.legs.iter().filter_map(|leg| match leg.via {
            Via::Direct(address) => Some((address, leg.proven)),
            Via::Webrtc => None,
        })
    }

    /// May data come by this way? Only where we have a proof of our own.
    pub fn proven(&self, via: Via) -> bool {
        self.leg(via).is_some_and(|leg| leg.proven) || (via == Via::Webrtc && self.webrtc_lingers.is_some())
    }

    /// Ways a handshake may take while nothing is proven: every one there is.
    pub fn all_ways(&self) -> impl Iterator<Item = Via> + '_ {
        self.webrtc.iter().map(|leg| leg.via).chain(self.legs.iter().map(|leg| leg.via))
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.next_at
    }

    // ---- events ----

    /// Whether the neighbour is one of the nearest on the ring, whose death has to be found soon although nothing is sent to it.
    pub fn set_near(&mut self, near: bool, now: Micros) {
        if std::mem::replace(&mut self.near, near) != near {
            self.next_at = self.earliest(now);
        }
    }

    /// The peer's agent names its addresses: they replace what it named before and are probed at once. The caller has
    /// dropped those that may never be probed.
    pub fn set_candidates(&mut self, addresses: &[SocketAddr], now: Micros, out: &mut Vec<Action>) {
        let listed = &addresses[..addresses.len().min(MAX_CANDIDATES)];
        // A proven address stays although the peer no longer names it: it works, and it may be its NAT's newest.
        self.legs.retain(|leg| leg.proven || !leg.listed || listed.iter().any(|&a| leg.via == Via::Direct(a)));
        let has_private = listed.iter().any(|a| is_private(a.ip()));
        for &address in listed {
            let kind = remote_type(address, has_private);
            if let Some(leg) = self.legs.iter_mut().find(|leg| leg.via == Via::Direct(address)) {
                leg.listed = true;
                leg.kind = kind;
                if !leg.proven {
                    leg.refresh(now);
                }
            } else {
                self.make_room();
                if self.legs.len() < MAX_CANDIDATES {
                    self.legs.push(Leg::new(address, kind, true, now));
                }
            }
        }
        self.run(now, out);
    }

    /// These addresses may not be used any more: they are forgotten, and what goes by one of them goes another way.
    pub fn forbid(&mut self, addresses: &[SocketAddr], now: Micros, out: &mut Vec<Action>) {
        self.legs.retain(|leg| !addresses.iter().any(|&address| leg.via == Via::Direct(address)));
        self.run(now, out);
    }

    /// The relay channel can carry records of at most this size, or is gone.
    pub fn set_webrtc(&mut self, up: Option<u16>, now: Micros, out: &mut Vec<Action>) {
        match (up, &mut self.webrtc) {
            (None, _) => {
                if self.webrtc.take().is_some_and(|leg| leg.proven) {
                    self.webrtc_lingers = Some(now + LINGER);
                }
            }
            // Another connection may take another way.
            (Some(size), Some(leg)) => {
                leg.mtu = MtuSearch::new(size, now);
                if !leg.proven {
                    leg.refresh(now);
                }
            }
            (Some(size), None) => self.webrtc = Some(Leg::relay(size, now)),
        }
        self.run(now, out);
    }

    /// A session with the peer stands (or stands anew): everything can be asked.
    pub fn session_up(&mut self, now: Micros, out: &mut Vec<Action>) {
        self.session = true;
        for leg in self.every_leg() {
            if !leg.proven {
                leg.refresh(now);
            }
            leg.urgent = true;
        }
        self.run(now, out);
    }

    /// No session is left: nothing can be asked or carried.
    pub fn session_lost(&mut self, now: Micros, out: &mut Vec<Action>) {
        self.session = false;
        self.webrtc_lingers = None;
        for leg in self.every_leg() {
            leg.bury(now);
        }
        self.run(now, out);
    }

    /// An authenticated probe request of the peer came by `via`. A new address is a new candidate, which must be
    /// challenged before it counts: a replayed or forwarded request moves nothing.
    pub fn request(
        &mut self,
        via: Via,
        peer_proven: bool,
        eligible: bool,
        now: Micros,
        out: &mut Vec<Action>,
    ) -> Response {
        if let Via::Direct(address) = via {
            if eligible && self.leg(via).is_none() {
                self.make_room();
                if self.legs.len() < MAX_CANDIDATES {
                    self.legs.push(Leg::new(address, RemoteType::Prflx, false, now));
                }
            }
        }
        let mut proven = false;
        if let Some(leg) = self.leg_mut(via) {
            leg.heard();
            leg.peer_says(peer_proven, now);
            leg.questioned(now);
            proven = leg.proven;
            if !proven {
                leg.refresh(now);
                leg.one_way.heard(now);
                if leg.one_way.take(now) {
                    out.push(Action::OneWay { via });
                }
            }
        }
        self.run(now, out);
        Response { proven }
    }

    /// An authenticated probe response came by `via`. False when it echoes no fresh challenge sent that way.
    pub fn response(
        &mut self,
        via: Via,
        challenge: [u8; 8],
        size: u16,
        peer_proven: bool,
        now: Micros,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(leg) = self.leg_mut(via) else { return false };
        let doubtful = leg.doubtful(now);
        let Some(proof) = leg.answered(challenge, peer_proven, now) else { return false };
        if proof.padded {
            leg.mtu.answered(size, now);
        } else {
            leg.mtu.small_answered(now);
            if doubtful {
                leg.mtu.doubt(now);
            }
        }
        if !proof.was_proven {
            // The peer must learn at once that this address is proven, or it would wait for the next round.
            leg.urgent = true;
        }
        self.run(now, out);
        true
    }

    /// Anything else authenticated came by `via`.
    pub fn heard(&mut self, via: Via) {
        if let Some(leg) = self.leg_mut(via) {
            leg.heard();
        }
    }

    /// A record of somebody else came by `via`, which says that what is carried for others is answered.
    pub fn passed(&mut self, via: Via, now: Micros) {
        if let Some(leg) = self.leg_mut(via) {
            leg.passed(now);
        }
    }

    /// Data went out by the path in use.
    pub fn used(&mut self, now: Micros) {
        let Some(via) = self.current else { return };
        if let Some(leg) = self.leg_mut(via) {
            if leg.used(now) {
                let at = now + leg.grace();
                self.next_at = Some(self.next_at.map_or(at, |next| next.min(at)));
            }
        }
    }

    /// The kernel refused to send by this way (no route, link down): it is dead at once.
    pub fn unreachable(&mut self, via: Via, now: Micros, out: &mut Vec<Action>) {
        if let Some(leg) = self.leg_mut(via) {
            if leg.proven {
                leg.bury(now);
                self.run(now, out);
            }
        }
    }

    /// The kernel refused a datagram for its size.
    pub fn too_big(&mut self, via: Via, size: u16, now: Micros, out: &mut Vec<Action>) {
        if let Some(leg) = self.leg_mut(via) {
            leg.mtu.too_big(size, now);
            self.run(now, out);
        }
    }

    pub fn tick(&mut self, now: Micros, out: &mut Vec<Action>) {
        if self.next_at.is_some_and(|at| at <= now) {
            self.run(now, out);
        }
    }

    // ---- the machine ----

    fn leg(&self, via: Via) -> Option<&Leg> {
        match via {
            Via::Webrtc => self.webrtc.as_ref(),
            direct => self.legs.iter().find(|leg| leg.via == direct),
        }
    }

    fn leg_mut(&mut self, via: Via) -> Option<&mut Leg> {
        match via {
            Via::Webrtc => self.webrtc.as_mut(),
            direct => self.legs.iter_mut().find(|leg| leg.via == direct),
        }
    }

    fn every_leg(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.webrtc.iter_mut().chain(self.legs.iter_mut())
    }

    /// When all places are taken, a learned address that never proved itself makes room.
    fn make_room(&mut self) {
        if self.legs.len() < MAX_CANDIDATES {
            return;
        }
        let oldest = self.legs.iter().enumerate().filter(|(_, leg)| !leg.listed && !leg.proven);
        if let Some((index, _)) = oldest.min_by_key(|(_, leg)| leg.since) {
            self.legs.remove(index);
        }
    }

    /// Everything that follows from events or time: deaths, the choice, requests, the next deadline.
    fn run(&mut self, now: Micros, out: &mut Vec<Action>) {
        for leg in self.every_leg() {
            leg.expire(now);
            if leg.mtu.take_narrow() {
                out.push(Action::Narrow { via: leg.via });
            }
            if leg.dead(now) {
                leg.bury(now);
            }
        }
        self.legs.retain(|leg| leg.listed || leg.proven || now.saturating_sub(leg.since) < PRFLX_LIFE);
        self.webrtc_lingers = self.webrtc_lingers.filter(|&until| until > now);
        self.choose(now, out);
        self.ask(now, out);
        self.next_at = self.earliest(now);
    }

    fn choose(&mut self, now: Micros, out: &mut Vec<Action>) {
        let best = self.legs.iter().filter(|leg| leg.usable()).min_by_key(|leg| score(leg));
        let current = self.current.and_then(|via| self.leg(via)).filter(|leg| leg.usable());
        let webrtc = self.webrtc.as_ref().filter(|leg| leg.usable()).map(|leg| leg.via);
        let chosen = match (current, best) {
            (Some(current), Some(best)) if matches!(current.via, Via::Direct(_)) => {
                let settled = now.saturating_sub(self.current_since) >= SETTLE;
                Some(if settled && clearly_better(best, current) { best.via } else { current.via })
            }
            (_, Some(best)) => Some(best.via),
            (_, None) => webrtc,
        };
        let record_size = chosen.and_then(|via| self.leg(via)).map_or(BASE_RECORD, |leg| leg.mtu.size());
        if chosen != self.current {
            self.current = chosen;
            self.current_since = now;
        } else if record_size == self.record_size {
            return;
        }
        self.record_size = record_size;
        out.push(Action::Changed);
    }

    fn duty(&self) -> impl Fn(Via) -> Duty {
        let (current, near, leads) = (self.current, self.near, self.leads);
        move |via| Duty { role: role(current, via), near, leads }
    }

    fn ask(&mut self, now: Micros, out: &mut Vec<Action>) {
        if !self.session {
            return;
        }
        if now.saturating_sub(self.bucket_since) >= SECOND {
            self.bucket = PEER_PER_SECOND;
            self.bucket_since = now;
        }
        let draw = self.draw_challenge;
        let duty = self.duty();
        let mut bucket = self.bucket;
        // Whoever waited longest is asked first, so that the peer's limit starves nobody.
        let mut order: Vec<&mut Leg> = self.every_leg().collect();
        order.sort_by_key(|leg| leg.due(duty(leg.via), now));
        for leg in order {
            if bucket == 0 {
                break;
            }
            let duty = duty(leg.via);
            if leg.due(duty, now) <= now {
                bucket -= 1;
                request(leg, draw(), 0, now, out);
                continue;
            }
            let sized = duty.role == Role::Current && leg.allowed_at() <= now;
            let busy = leg.busy(now);
            if let Some(size) = sized.then(|| leg.mtu.poll(busy, now)).flatten() {
                bucket -= 1;
                request(leg, draw(), size, now, out);
            }
            leg.urgent |= leg.mtu.take_question();
        }
        self.bucket = bucket;
    }

    fn earliest(&self, now: Micros) -> Option<Micros> {
        if !self.session {
            return None;
        }
        let duty = self.duty();
        let floor = if self.bucket == 0 { self.bucket_since + SECOND } else { 0 };
        let legs = self.webrtc.iter().chain(self.legs.iter());
        legs.flat_map(|leg| {
            let duty = duty(leg.via);
            let sized = duty.role == Role::Current;
            let sizing = sized.then(|| leg.mtu.deadline(leg.busy(now)).max(leg.allowed_at()).max(floor));
            [Some(leg.due(duty, now).max(floor)), sizing, leg.death_at()]
        })
        .flatten()
        .chain(self.webrtc_lingers)
        .min()
    }
}

fn request(leg: &mut Leg, challenge: [u8; 8], size: u16, now: Micros, out: &mut Vec<Action>) {
    leg.asked(challenge, size != 0, now);
    out.push(Action::Request { via: leg.via, challenge, proven: leg.proven, size });
}

#[cfg(test)]
#[path = "paths_test.rs"]
mod tests;
