//! What arrives, by UDP or by the relay socket: opened here, sent on, or dropped and counted.

use std::net::SocketAddr;

use super::outlet::Way;
use super::trace::drop_name;
use super::Node;
use crate::frame::{parse_tap, sender_addresses, Delivery, Merger};
use crate::io::udp::Received;
use crate::large::{Exit, Pair, Told};
use crate::order::{Path, Turn};
use crate::session::{Now, Opened, Origin, Refusal, Verdict};
use crate::switch::{DropReason, Output, Transit};
use crate::tunnel::{Via, MAX_RECORD};
use crate::wire::flood::FloodArc;
use crate::wire::frame::{Frame, FRAME_HEADER};
use crate::wire::notice::{Complaint, Notice};
use crate::wire::record::{CONTROL, COOKIE, FLOOD, FLOOD_ACK, FRAGMENT, FRAME, HANDSHAKE, NOTICE, PROBE, ROUTED};
use crate::wire::routing::{RoutingHeader, ROUTING_HEADER};
use crate::wire::{Label, Mac};

/// How one record came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub via: Via,
    /// The tunnel whose relay channel it was.
    pub channel: Option<u32>,
    /// The tunnel whose proven path it was.
    pub port: Option<u32>,
    /// The source label and remaining hop limit of its routing header.
    pub routed: Option<(Label, u8)>,
}

impl Arrival {
    fn origin(&self) -> Origin {
        match (self.routed, self.via, self.channel) {
            (Some((source, _)), ..) => Origin::Routed(source),
            (None, Via::Webrtc, channel) => Origin::Channel(channel.unwrap_or(0)),
            (None, Via::Direct(address), _) => Origin::Direct(address),
        }
    }

    fn path(&self) -> Path {
        Path { port: self.port, via: self.via, hops: self.routed.map(|(_, hops)| hops) }
    }

    pub fn way(&self) -> Way {
        match self.via {
            Via::Direct(address) => Way::Direct(address),
            Via::Webrtc => Way::Relay(self.channel.unwrap_or(0) as u16),
        }
    }
}

/// The frame of an opened record, on its way to the merger.
struct Plain<'b> {
    source: Label,
    session: u32,
    counter: u64,
    flags: u8,
    ethernet: &'b [u8],
    path: Path,
}

/// One that waits for others before it.
pub(super) struct Held {
    source: Label,
    in_port: u32,
    flags: u8,
    ethernet: Vec<u8>,
}

impl Node {
    /// Datagrams of one source, as the kernel merged them.
    pub fn datagrams(&mut self, bytes: &mut [u8], segment: usize, from: SocketAddr, now: Now) {
        let got = Received { from, bytes: bytes.len(), segment, interface: 0 };
        self.arrived(bytes, &[got], from, now);
    }

    /// Batches of one source, one behind the other in `bytes`.
    pub(super) fn arrived(&mut self, mut bytes: &mut [u8], batches: &[Received], from: SocketAddr, now: Now) {
        let empty = batches.iter().filter(|got| got.bytes == 0).count();
        self.counters.add_many("unknownRecord", empty as u64);
        let via = Via::Direct(from);
        let port = self.tunnels.proven(via, None);
        let records = batches.iter().flat_map(move |got| {
            let (own, behind) = std::mem::take(&mut bytes).split_at_mut_checked(got.bytes).unwrap_or_default();
            bytes = behind;
            own.chunks_mut(got.segment.max(1))
        });
        self.batch(records, Arrival { via, channel: None, port, routed: None }, now);
    }

    /// Records of one relay unit.
    pub fn relayed(&mut self, channel: u32, payload: &mut [u8], now: Now) {
        if self.tunnels.get(channel).is_none() {
            self.counters.add("relayUnknownPort");
            return;
        }
        let port = self.tunnels.proven(Via::Webrtc, Some(channel));
        let arrival = Arrival { via: Via::Webrtc, channel: Some(channel), port, routed: None };
        self.batch(crate::relay::records_mut(payload), arrival, now);
    }

    /// Opens records in place and merges what continues, so that the tap is entered once for a whole super-frame.
    fn batch<'b>(&mut self, records: impl Iterator<Item = &'b mut [u8]>, arrival: Arrival, now: Now) {
        let mut merger = Merger::with_tunnels(self.tunnel_ends.as_ref());
        let mut sources: Vec<(u64, Label)> = Vec::new();
        let in_port = arrival.port.unwrap_or(0);
        let mut bytes = 0;
        self.heard = None;
        for record in records {
            bytes += record.len() as u64;
            let Some(plain) = self.record(record, arrival, now) else { continue };
            let turn = self.turn(plain.session, plain.path, plain.counter, now);
            if turn == Turn::Wait {
                // Where there is no room for it, all that waited passes at once: behind what passed already.
                merger.flush(&mut |delivery| self.merged(delivery, &sources, in_port, now));
                let Plain { source, flags, .. } = plain;
                let held = Held { source, in_port, flags, ethernet: plain.ethernet.to_vec() };
                self.hold(plain.session, plain.counter, held, now);
                continue;
            }
            let from = u64::from(plain.session);
            if sources.last().is_none_or(|&(known, _)| known != from) {
                sources.push((from, plain.source));
            }
            let pushed = merger.push(from, plain.counter, plain.flags, plain.ethernet, &mut |delivery| {
                self.merged(delivery, &sources, in_port, now);
            });
            if let Err(error) = pushed {
                self.counters.add(error.counter());
            }
            if turn == Turn::PassAndTake {
                merger.flush(&mut |delivery| self.merged(delivery, &sources, in_port, now));
                self.let_pass(plain.session, now);
            }
        }
        merger.flush(&mut |delivery| self.merged(delivery, &sources, in_port, now));
        if let Some(tunnel) = arrival.port.and_then(|port| self.tunnels.get_mut(port)) {
            tunnel.rx_bytes += bytes;
        }
    }

    fn turn(&mut self, session: u32, path: Path, counter: u64, now: Now) -> Turn {
        let Node { order, sessions, .. } = self;
        order.arrived(session, path, counter, now.us, |from, to| sessions.first_missing(session, from, to))
    }

    fn hold(&mut self, session: u32, counter: u64, held: Held, now: Now) {
        self.counters.add("frameWaited");
        let passed = self.order.hold(session, counter, held.ethernet.len(), held);
        self.pass_on(passed, now);
    }

    /// What waited of this session waits no longer.
    fn let_pass(&mut self, session: u32, now: Now) {
        let taken = self.order.take(session);
        self.pass_on(taken, now);
    }

    /// Frames of one session that waited, in order.
    fn pass_on(&mut self, frames: Vec<(u64, Held)>, now: Now) {
        for same in frames.chunk_by(|(_, a), (_, b)| a.in_port == b.in_port) {
            let Some((_, Held { source, in_port, .. })) = same.first() else { continue };
            let mut merger = Merger::with_tunnels(self.tunnel_ends.as_ref());
            for (counter, Held { flags, ethernet, .. }) in same {
                let pushed = merger.push(0, *counter, *flags, ethernet, &mut |delivery| {
                    self.deliver(delivery, *source, *in_port, true, now);
                });
                if let Err(error) = pushed {
                    self.counters.add(error.counter());
                }
            }
            merger.flush(&mut |delivery| self.deliver(delivery, *source, *in_port, true, now));
        }
    }

    pub(super) fn order_tick(&mut self, now: Now) {
        while let Some(session) = self.order.due(now.us) {
            self.let_pass(session, now);
        }
    }

    fn merged(&mut self, delivery: &Delivery<'_>, sources: &[(u64, Label)], in_port: u32, now: Now) {
        if let Some(&(_, source)) = sources.iter().rev().find(|(from, _)| *from == delivery.from) {
            self.deliver(delivery, source, in_port, true, now);
        }
    }

    fn record<'b>(&mut self, record: &'b mut [u8], arrival: Arrival, now: Now) -> Option<Plain<'b>> {
        if record.len() > usize::from(MAX_RECORD) {
            self.counters.add("datagramTooBig");
            return None;
        }
        match (record.first().copied()?, arrival.via) {
            (0..=3, Via::Direct(from)) => {
                self.stun_received(from, record, now);
                None
            }
            (ROUTED, _) => {
                let header = match RoutingHeader::decode(record) {
                    Ok((header, _)) => header,
                    Err(_) => {
                        self.counters.add("malformed");
                        return None;
                    }
                };
                let Some(tunnel) = arrival.port.and_then(|port| self.tunnels.get_mut(port)) else {
                    self.counters.add("routedByUnprovenPath");
                    return None;
                };
                if header.source != tunnel.label {
                    tunnel.forwards.shown(now.us);
                    tunnel.paths.passed(arrival.via, now.us);
                }
                if header.destination != self.label {
                    self.transit(record, header, arrival, now);
                    return None;
                }
                let routed = Some((header.source, header.hop_limit));
                let (_, inner) = record.split_at_mut_checked(ROUTING_HEADER)?;
                self.unrouted(inner, Arrival { routed, ..arrival }, now)
            }
            _ => self.unrouted(record, arrival, now),
        }
    }

    fn unrouted<'b>(&mut self, record: &'b mut [u8], arrival: Arrival, now: Now) -> Option<Plain<'b>> {
        match record.first().copied()? {
            HANDSHAKE => {
                let actions = self.sessions.handshake(record, arrival.origin(), now);
                self.act(actions, now);
            }
            COOKIE => {
                let actions = self.sessions.cookie(record, now);
                self.act(actions, now);
            }
            NOTICE => self.notice(record, now),
            FRAME..=CONTROL => {
                let quote = record.first_chunk::<16>().copied();
                match self.sessions.open(record, now) {
                    Ok(opened) => return self.opened(opened, arrival, now),
                    // The session layer counts what it refuses.
                    Err(Refusal::UnknownIndex) => {
                        if let Some(quote) = quote {
                            self.complain(Complaint::UnknownIndex, quote, arrival, now);
                        }
                    }
                    Err(_) => {}
                }
            }
            _ => self.counters.add("unknownRecord"),
        }
        None
    }

    /// An authentic record of `opened.label`.
    fn opened<'b>(&mut self, opened: Opened<'b>, arrival: Arrival, now: Now) -> Option<Plain<'b>> {
        if opened.confirmed {
            let actions = self.sessions.take_actions();
            self.act(actions, now);
        }
        let source = opened.label;
        // Data is taken only from a proven path: for a bare record, one of its own sender.
        let proven = match arrival.routed {
            Some(_) => arrival.port.is_some(),
            // A probe tells its path by itself what it proves: an answer must find the suspicion that asked for it.
            None if opened.record_type == PROBE => false,
            None if self.heard == Some(source) => true,
            None => match self.tunnels.of_mut(source) {
                Some(tunnel) if arrival.port == Some(tunnel.port) => {
                    tunnel.paths.heard(arrival.via);
                    self.heard = Some(source);
                    true
                }
                _ => false,
            },
        };
        let plaintext: &'b [u8] = opened.plaintext;
        match opened.record_type {
            PROBE => self.probe(source, plaintext, arrival, now),
            CONTROL => self.control(source, plaintext, arrival, now),
            _ if !proven => {
                self.counters.add("dataByUnprovenPath");
                if opened.record_type == FRAME {
                    let mark = self.traces.mark(plaintext.get(FRAME_HEADER..).unwrap_or(&[]));
                    self.traces.count(mark, "dataByUnprovenPath");
                }
            }
            FRAME => match Frame::decode(plaintext) {
                Ok(_) => {
                    let (&[flags, _], ethernet) = plaintext.split_first_chunk::<2>()?;
                    let (session, counter, path) = (opened.session, opened.counter, arrival.path());
                    return Some(Plain { source, session, counter, flags, ethernet, path });
                }
                Err(_) => self.counters.add("malformed"),
            },
            FRAGMENT => match self.sessions.reassemble(opened.session, plaintext, now) {
                Ok(Some((FRAME, whole))) => {
                    self.whole_frame(source, (opened.session, opened.counter), &whole, arrival, now)
                }
                Ok(Some((CONTROL, whole))) => self.control(source, &whole, arrival, now),
                Ok(Some((kind, whole))) => self.hop(source, kind, &whole, arrival, now),
                Ok(None) => {}
                Err(refusal) => self.counters.add(refusal.name()),
            },
            kind => self.hop(source, kind, plaintext, arrival, now),
        }
        None
    }

    /// A frame that came in fragments, with the session and the counter of the last of them.
    fn whole_frame(&mut self, source: Label, last: (u32, u64), plaintext: &[u8], arrival: Arrival, now: Now) {
        let (Ok(_), Some((&[flags, _], ethernet))) = (Frame::decode(plaintext), plaintext.split_first_chunk::<2>())
        else {
            return self.counters.add("malformed");
        };
        let (flags, in_port) = (flags & crate::frame::PARTIAL, arrival.port.unwrap_or(0));
        let (session, counter) = last;
        let turn = self.turn(session, arrival.path(), counter, now);
        if turn == Turn::Wait {
            let held = Held { source, in_port, flags, ethernet: ethernet.to_vec() };
            return self.hold(session, counter, held, now);
        }
        self.lone(ethernet, flags, source, in_port, true, now);
        if turn == Turn::PassAndTake {
            self.let_pass(session, now);
        }
    }

    /// Floods and their acknowledgements are between neighbours: they count only by the neighbour's own path.
    fn hop(&mut self, source: Label, kind: u8, plaintext: &[u8], arrival: Arrival, now: Now) {
        let port = arrival.port.filter(|_| arrival.routed.is_none());
        let Some(port) = port.filter(|&port| self.tunnels.port_of(source) == Some(port)) else {
            self.counters.add("floodNotByNeighbour");
            return;
        };
        if kind == FLOOD {
            let Node { flood, switch, sessions, .. } = self;
            let member = |label| sessions.member(label).is_some();
            let actions = flood.received(port, plaintext, switch.neighbours(), member, now.us);
            self.flood_actions(actions, port, now);
        } else if kind == FLOOD_ACK && FloodArc::decode_acknowledgement(plaintext).is_ok() {
            self.flood.acknowledged(port, plaintext);
        } else {
            self.counters.add("malformed");
        }
    }

    /// One frame that nothing is merged with.
    pub(super) fn lone(&mut self, ethernet: &[u8], flags: u8, source: Label, in_port: u32, unicast: bool, now: Now) {
        let mut merger = Merger::new();
        let pushed =
            merger.push(0, 0, flags, ethernet, &mut |delivery| self.deliver(delivery, source, in_port, unicast, now));
        if let Err(error) = pushed {
            self.counters.add(error.counter());
        }
        merger.flush(&mut |delivery| self.deliver(delivery, source, in_port, unicast, now));
    }

    /// A frame of node `source` for the switch, as it goes to the tap. `unicast`: by a session with its sender, not a flood.
    fn deliver(&mut self, delivery: &Delivery<'_>, source: Label, in_port: u32, unicast: bool, now: Now) {
        let headers = delivery.headers();
        let Some(mac) = headers.get(6..12).and_then(|mac| <[u8; 6]>::try_from(mac).ok()) else { return };
        let mark = self.delivery_mark(delivery);
        self.traces.passed(mark, "arrived", Some(in_port), None);
        let verdict = self.sessions.source_mac_verdict(source, &Mac(mac));
        if verdict == Verdict::Refused {
            self.traces.count(mark, "sourceMacRefused");
            self.counters.add("sourceMacRefused");
            return;
        }
        let mut addresses = sender_addresses(headers).into_iter().flatten();
        if addresses.any(|address| !self.sessions.may_use(source, address)) {
            self.traces.count(mark, "sourceAddressRefused");
            self.counters.add("sourceAddressRefused");
            return;
        }
        match verdict {
            Verdict::Allowed | Verdict::Refused => {}
            // Anybody can write any root on a flood; of those that are no members nothing is learned.
            Verdict::Foreign if unicast || self.sessions.member(source).is_some() => {
                if let Some(learned) = self.switch.learn(mac, source, unicast, now.us) {
                    self.learned(&learned);
                }
            }
            Verdict::Foreign => self.counters.add("floodOfStranger"),
        }
        if unicast {
            let via = self.tunnels.port_of(source) != Some(in_port);
            self.demand(source, delivery.frame_bytes(), via);
            if via {
                self.reach.heard(source);
            }
        }
        let own = self.sessions.certificate().mac();
        let outputs = self.switch.super_frame(in_port, Some(source), headers, delivery.frame_bytes(), now.us);
        for output in outputs.iter() {
            match *output {
                Output::Tap { .. } => {
                    self.moved += delivery.frame_bytes();
                    let odd = self.taps.write(in_port, delivery, own);
                    self.traces.count(mark, if odd == Some("tapWrite") { "tapWrite" } else { "delivered" });
                    if let Some(counter) = odd {
                        self.counters.add(counter);
                        // Only of a kernel that says one thing and does another; the next look tries again.
                        self.tunnel_ends = self.tunnel_ends.take().filter(|_| !delivery.is_tunnel());
                    }
                }
                Output::Node { label, port, detour } => {
                    let mut whole = Vec::with_capacity(delivery.frame_bytes() + delivery.head.len());
                    delivery.copy_to(&mut whole);
                    match parse_tap(&whole) {
                        Ok(frame) => self.send_frame(label, port, detour, &frame, now),
                        Err(error) => self.counters.add(error.counter()),
                    }
                }
                // A frame that came by a tunnel was flooded by its sender already.
                Output::Flood => self.counters.add("floodFromTunnel"),
                Output::Drop(reason) => {
                    self.trace_dropped(mark, reason);
                    self.dropped(reason);
                }
            }
        }
    }

    pub(super) fn dropped(&mut self, reason: DropReason) {
        self.counters.add(drop_name(reason));
    }

    /// A record for somebody else (§4.1).
    fn transit(&mut self, record: &mut [u8], header: RoutingHeader, arrival: Arrival, now: Now) {
        let mark = self.traces.record_mark(header.source, header.destination, record);
        let Some(onward) = header.forwarded() else {
            self.traces.count(mark, "hopLimit");
            self.counters.add("hopLimit");
            return;
        };
        let quote = record.get(ROUTING_HEADER..).and_then(|inner| inner.first_chunk::<16>()).copied();
        let flags = u8::from(header.detour) * crate::switch::FLAG_DETOUR;
        match self.switch.transit(arrival.port, header.destination, flags, record.len(), now.us) {
            Transit::Forward { port, detour } => {
                let (port, detour) = self.next_hop(&header, arrival.port, port, detour);
                let Some((way, size)) =
                    self.tunnels.get(port).and_then(|t| Some((t.current()?, t.paths.record_size())))
                else {
                    self.traces.count(mark, "noRoute");
                    self.counters.add("noRoute");
                    return;
                };
                let RoutingHeader { source, destination, .. } = header;
                if let Some(quote) = quote {
                    let pair = Pair { source, destination, came_by: arrival.port };
                    self.large.seen(pair, Exit { port, size }, record.len(), quote, now.us);
                }
                if record.len() > usize::from(size) {
                    self.traces.count(mark, "transitTooBig");
                    self.counters.add("transitTooBig");
                    if let Some(quote) = quote {
                        self.complain_to(source, Complaint::TooBig { label: destination, size }, quote, now);
                    }
                    return;
                }
                let onward = RoutingHeader { detour: onward.detour || detour, ..onward };
                if let Some(head) = record.first_chunk_mut::<ROUTING_HEADER>() {
                    *head = onward.encode();
                }
                let probe = record.get(ROUTING_HEADER) == Some(&PROBE);
                self.outlet.send(way, record, probe, now.us);
                self.traces.passed(mark, "forwarded", arrival.port, Some(port));
                self.account_hop(port, record.len(), destination, now);
                self.transit_records += 1;
                self.moved += record.len();
            }
            Transit::Unknown => {
                self.traces.count(mark, "unknownLabel");
                self.counters.add("unknownLabel");
                if let Some(quote) = quote {
                    self.complain_to(header.source, Complaint::UnknownLabel(header.destination), quote, now);
                }
            }
            Transit::Drop(reason) => {
                self.trace_dropped(mark, reason);
                self.dropped(reason);
            }
        }
    }

    /// The next hop the flows say, unless nothing gets through to the destination by it.
    fn next_hop(&mut self, header: &RoutingHeader, came_by: Option<u32>, port: u32, detour: bool) -> (u32, bool) {
        let destination = header.destination;
        if self.tunnels.get(port).is_some_and(|tunnel| tunnel.label == destination) {
            return (port, detour);
        }
        if !self.avoids(destination, port) {
            return (port, detour);
        }
        // Back where it came from is safe once: from here it carries DETOUR, and does not turn again (§10.2).
        let turned = came_by.filter(|&back| !header.detour && self.tunnels.get(back).is_some_and(|t| t.up));
        self.another_hop(destination, came_by).or(turned).map_or((port, detour), |other| (other, true))
    }

    /// The tunnel takes records of another size than before: sources that this concerns hear of it now, not with their next record.
    pub(super) fn resized(&mut self, port: u32, size: u16, now: Now) {
        for Told { source, destination, quote } in self.large.resized(Exit { port, size }, now.us) {
            self.complain_to(source, Complaint::TooBig { label: destination, size }, quote, now);
        }
    }

    /// Sends a notice back the way a record came, at most ten a second to one peer (§7).
    fn complain(&mut self, complaint: Complaint, quote: [u8; 16], arrival: Arrival, now: Now) {
        if let Some((source, _)) = arrival.routed {
            return self.complain_to(source, complaint, quote, now);
        }
        let key = match arrival.way() {
            Way::Relay(port) => (1, u64::from(port), 0),
            Way::Direct(address) => match address.ip() {
                std::net::IpAddr::V4(ip) => (2, u64::from(u32::from(ip)), u64::from(address.port())),
                std::net::IpAddr::V6(ip) => (3, (u128::from(ip) >> 64) as u64, u128::from(ip) as u64),
            },
        };
        if !self.notices.allow(key, now.us) {
            return;
        }
        if let Way::Direct(address) = arrival.way() {
            if !self.may_answer(address) {
                return;
            }
        }
        self.outlet.send(arrival.way(), &Notice { complaint, quote }.encode(), true, now.us);
    }

    /// The same to the source of a routed record.
    fn complain_to(&mut self, source: Label, complaint: Complaint, quote: [u8; 16], now: Now) {
        if self.notices.allow((0, source.0, 0), now.us) {
            let record = Notice { complaint, quote }.encode();
            self.send_record(crate::session::To::Origin(Origin::Routed(source)), &record, now);
        }
    }

    fn notice(&mut self, record: &[u8], now: Now) {
        let Ok(notice) = Notice::decode(record) else {
            self.counters.add("malformed");
            return;
        };
        let Some(label) = self.sessions.quoted(&notice.quote) else {
            self.counters.add("noticeForged");
            return;
        };
        match notice.complaint {
            Complaint::UnknownLabel(_) => {
                self.counters.add("noticeUnknownLabel");
                self.route_sizes.remove(&label);
            }
            Complaint::TooBig { size, .. } => {
                self.counters.add("noticeTooBig");
                self.route_sizes.insert(label, (size, now.us + super::ROUTE_SIZE_LIFE));
            }
            Complaint::UnknownIndex => {
                self.counters.add("noticeUnknownIndex");
                let actions = self.sessions.notice_unknown_index(&notice.quote, now);
                self.act(actions, now);
            }
        }
    }
}
