//! One way to the neighbour, a candidate address or the relay channel, and what is known of it.

use std::net::SocketAddr;

use super::mtu::{MtuSearch, MAX_RECORD};
use super::one_way::OneWay;
use super::paths::Via;
use crate::time::{Micros, MILLISECOND, SECOND};

/// What kind of candidate the remote end of a path is (RFC 8445 §4): `Prflx` was learned from an authenticated probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteType {
    Host,
    Srflx,
    Prflx,
    Webrtc,
}

impl RemoteType {
    pub fn name(self) -> &'static str {
        match self {
            RemoteType::Host => "host",
            RemoteType::Srflx => "srflx",
            RemoteType::Prflx => "prflx",
            RemoteType::Webrtc => "webrtc",
        }
    }
}

/// What a leg is for, which says how often it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The path in use.
    Current,
    /// There is a direct path in use, and it is another one.
    Reserve,
    /// Better than what is in use, if only it worked.
    Hope,
}

/// What says how often a leg is asked, beside what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duty {
    pub role: Role,
    /// The neighbour is one of the nearest on the ring: its death opens the ring.
    pub near: bool,
    /// Of two ends that ask at once the one whose question counts.
    pub leads: bool,
}

/// A way that is used is asked this often while data goes by it, or when its other end is near on the ring...
const WATCHED: Micros = SECOND;
/// ...and else this often, which keeps any NAT's mapping.
const IDLE: Micros = 4 * SECOND;
/// An address that never answered is asked this often once it is a minute old, and at last...
const SILENT: Micros = 10 * SECOND;
/// ...this often.
const SILENT_MAX: Micros = 60 * SECOND;
/// A challenge older than this proves nothing (wire.md §6.4).
const CHALLENGE_LIFE: Micros = 5 * SECOND;
/// Requests to one address in any one second (wire.md §6.4).
const PER_SECOND: usize = 5;
/// Traffic without an answer for this long is suspicious and probed.
const SUSPECT: Micros = 250 * MILLISECOND;
const SUSPECT_INTERVAL: Micros = 200 * MILLISECOND;
/// Traffic without an answer for this long is dead, unless the path's round trip is known to be long.
const DEAD: Micros = SECOND;
/// Death needs this many requests without an answer as well: a process that was not scheduled for a second wakes up to old
/// traffic that it never asked about.
const DEAD_REQUESTS: u8 = 3;
/// How long the last of them may take.
const LAST_WORD: Micros = 150 * MILLISECOND;
/// Challenges remembered: what five a second can have outstanding within a challenge's life.
const OUTSTANDING: usize = 25;

#[derive(Debug)]
struct Sent {
    challenge: [u8; 8],
    at: Micros,
    /// Padded requests say nothing about loss or round trip.
    padded: bool,
}

#[derive(Debug)]
pub(super) struct Leg {
    pub via: Via,
    pub kind: RemoteType,
    /// Named by the peer's agent, not learned from a probe.
    pub listed: bool,
    pub proven: bool,
    pub peer_proven: bool,
    /// When the peer last took that back.
    retracted: Option<Micros>,
    /// Smoothed round trip in microseconds (RFC 6298's 1/8).
    pub rtt_us: Option<u32>,
    /// Of unpadded requests, parts per million, smoothed by 1/16.
    pub loss_ppm: u32,
    pub mtu: MtuSearch,
    pub one_way: OneWay,
    /// When probing began anew: fresh hope is probed faster.
    pub since: Micros,
    /// Ask as soon as the limit allows, whatever the interval says.
    pub urgent: bool,
    last_asked: Option<Micros>,
    /// When the peer last asked by this leg, after both ends had proven it.
    peer_asked: Option<Micros>,
    unanswered_since: Option<Micros>,
    unanswered_requests: u8,
    pub last_traffic: Micros,
    /// When a record of somebody else last came by this leg. Nobody vouches that it came from there, so it proves nothing.
    passed: Micros,
    outstanding: Vec<Sent>,
    recent: [Micros; PER_SECOND],
}

/// What an answer proved.
pub(super) struct Proof {
    pub was_proven: bool,
    pub padded: bool,
}

impl Leg {
    /// An address.
    pub fn new(address: SocketAddr, kind: RemoteType, listed: bool, now: Micros) -> Self {
        Self::by(Via::Direct(address), kind, listed, MAX_RECORD, now)
    }

    /// The relay channel, for records of at most `largest` bytes.
    pub fn relay(largest: u16, now: Micros) -> Self {
        Self::by(Via::Webrtc, RemoteType::Webrtc, true, largest, now)
    }

    fn by(via: Via, kind: RemoteType, listed: bool, largest: u16, now: Micros) -> Self {
        Self {
            via,
            kind,
            listed,
            proven: false,
            peer_proven: false,
            retracted: None,
            rtt_us: None,
            loss_ppm: 0,
            mtu: MtuSearch::new(largest, now),
            one_way: OneWay::default(),
            since: now,
            urgent: true,
            last_asked: None,
            peer_asked: None,
            unanswered_since: None,
            unanswered_requests: 0,
            last_traffic: 0,
            passed: 0,
            outstanding: Vec::new(),
            recent: [0; PER_SECOND],
        }
    }

    /// The rule of use: we have proven the address, the peer has told that it has proven ours, and it carries what it must.
    pub fn usable(&self) -> bool {
        self.proven && self.peer_proven && !self.mtu.narrow()
    }

    /// Hope is fresh again: listed anew, or the peer was heard from there.
    pub fn refresh(&mut self, now: Micros) {
        self.since = now;
        self.urgent = true;
    }

    /// When the address may be asked next without passing five requests a second.
    pub fn allowed_at(&self) -> Micros {
        match self.recent[0] {
            0 => 0,
            oldest => oldest + SECOND,
        }
    }

    /// A request left.
    pub fn asked(&mut self, challenge: [u8; 8], padded: bool, now: Micros) {
        if !padded {
            self.urgent = false;
            self.last_asked = Some(now);
        }
        self.recent.rotate_left(1);
        self.recent[PER_SECOND - 1] = now.max(1);
        if self.outstanding.len() >= OUTSTANDING {
            self.outstanding.remove(0);
        }
        self.outstanding.push(Sent { challenge, at: now, padded });
        self.one_way.asked();
        if self.proven && !padded {
            self.unanswered_since.get_or_insert(now);
            self.unanswered_requests = self.unanswered_requests.saturating_add(1);
        }
    }

    /// A response came by this leg. None when it echoes no fresh challenge of ours.
    pub fn answered(&mut self, challenge: [u8; 8], peer_proven: bool, now: Micros) -> Option<Proof> {
        let index = self.outstanding.iter().position(|sent| sent.challenge == challenge)?;
        let sent = self.outstanding.remove(index);
        if now.saturating_sub(sent.at) > CHALLENGE_LIFE {
            return None;
        }
        let proof = Proof { was_proven: self.proven, padded: sent.padded };
        if !sent.padded {
            let sample = u32::try_from(now.saturating_sub(sent.at)).unwrap_or(u32::MAX).max(1);
            self.rtt_us = Some(match self.rtt_us {
                Some(smooth) if self.proven => (smooth / 8 * 7).saturating_add(sample / 8).max(1),
                _ => sample,
            });
            self.loss_ppm -= self.loss_ppm / 16;
        }
        self.proven = true;
        self.one_way.answered();
        self.peer_says(peer_proven, now);
        self.heard();
        Some(proof)
    }

    /// The peer tells whether it has proven this way. Taken back, that is believed once a second: who says one thing and the other
    /// by turns would move the path with every probe.
    pub fn peer_says(&mut self, proven: bool, now: Micros) {
        if proven {
            self.peer_proven = true;
        } else if self.peer_proven && self.retracted.is_none_or(|at| now.saturating_sub(at) >= SECOND) {
            self.peer_proven = false;
            self.retracted = Some(now);
        }
    }

    /// The peer asked. With what it asked before answered by us, that proves both directions as an answer does.
    pub fn questioned(&mut self, now: Micros) {
        if self.usable() {
            self.peer_asked = Some(now);
        }
    }

    /// Anything authenticated came by this leg.
    pub fn heard(&mut self) {
        self.unanswered_since = None;
        self.unanswered_requests = 0;
    }

    /// Data left by this leg; an answer is due. True when the clock of suspicion starts.
    pub fn used(&mut self, now: Micros) -> bool {
        self.last_traffic = now;
        let starts = self.unanswered_since.is_none();
        self.unanswered_since.get_or_insert(now);
        starts
    }

    /// Traffic has gone unanswered for so long that the leg is probed.
    pub fn suspected(&self, now: Micros) -> bool {
        self.unanswered_since.is_some_and(|since| now >= since + self.grace())
    }

    /// A record of somebody else came by this leg.
    pub fn passed(&mut self, now: Micros) {
        self.passed = now;
    }

    /// Traffic has gone unanswered, our own and what is carried for others: it may have been too large.
    pub fn doubtful(&self, now: Micros) -> bool {
        self.suspected(now) && now.saturating_sub(self.passed) >= self.grace()
    }

    /// Counts requests that will not be answered any more.
    pub fn expire(&mut self, now: Micros) {
        self.mtu.expire(now);
        let patience = self.patience();
        let loss = &mut self.loss_ppm;
        self.outstanding.retain_mut(|sent| {
            if !sent.padded && now.saturating_sub(sent.at) > patience {
                *loss += (1_000_000 - *loss) / 16;
                sent.padded = true; // Counted once; its challenge stays good for the rest of its life.
            }
            now.saturating_sub(sent.at) <= CHALLENGE_LIFE
        });
    }

    fn patience(&self) -> Micros {
        DEAD.max(3 * Micros::from(self.rtt_us.unwrap_or(0)))
    }

    /// How long traffic may go unanswered before it is probed.
    pub fn grace(&self) -> Micros {
        SUSPECT.max(2 * Micros::from(self.rtt_us.unwrap_or(0)))
    }

    pub fn dead(&self, now: Micros) -> bool {
        self.death_at().is_some_and(|at| at <= now)
    }

    /// When suspicion turns into death. None while that still needs requests.
    pub fn death_at(&self) -> Option<Micros> {
        let since = self.unanswered_since.filter(|_| self.proven && self.unanswered_requests >= DEAD_REQUESTS)?;
        Some((since + self.patience()).max(self.last_asked? + LAST_WORD))
    }

    /// The path is no longer proven; looking for it begins anew.
    pub fn bury(&mut self, now: Micros) {
        self.proven = false;
        self.peer_proven = false;
        self.peer_asked = None;
        self.heard();
        self.mtu.restart(now);
        self.refresh(now);
    }

    /// When the next unpadded request is due.
    pub fn due(&self, duty: Duty, now: Micros) -> Micros {
        let Some(last) = self.last_asked.filter(|_| !self.urgent) else { return self.allowed_at() };
        let mut due = self.turn(last, duty.leads) + self.interval(duty, now);
        if let Some(since) = self.unanswered_since.filter(|_| self.proven) {
            due = due.min((since + self.grace()).max(last + SUSPECT_INTERVAL));
        }
        due.max(self.allowed_at())
    }

    /// From when on our interval counts. The two ends of a way that works ask by turns, since each question answered proves it to both:
    /// after the peer's it is ours, and after ours the peer gets a moment more, unless it asked while ours was under way.
    fn turn(&self, last: Micros, leads: bool) -> Micros {
        if !self.usable() {
            return last;
        }
        match self.peer_asked.filter(|&asked| asked >= last) {
            Some(asked) if !leads || asked - last >= self.grace() => asked,
            _ => last + self.grace(),
        }
    }

    fn interval(&self, Duty { role, near, .. }: Duty, now: Micros) -> Micros {
        let age = now.saturating_sub(self.since);
        match role {
            // Busy or lately busy paths are watched closely, sleeping ones only keep their NAT mappings.
            Role::Current if self.usable() && (near || self.busy(now)) => WATCHED,
            Role::Current if self.usable() => IDLE,
            _ if age < 5 * SECOND && !self.usable() => SUSPECT_INTERVAL,
            // Only to know whether it is still there when the path in use is not.
            Role::Reserve if self.usable() => 10 * SECOND,
            _ if self.usable() => 5 * SECOND,
            Role::Reserve => (age / 6).clamp(SILENT, SILENT_MAX),
            _ if age < 60 * SECOND => SECOND,
            _ => (age / 6).clamp(SILENT, SILENT_MAX),
        }
    }

    /// Data went by it lately.
    pub fn busy(&self, now: Micros) -> bool {
        self.last_traffic != 0 && now.saturating_sub(self.last_traffic) < 10 * SECOND
    }
}
