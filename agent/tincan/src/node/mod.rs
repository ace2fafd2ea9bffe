//! The node: sessions, switch, floods and tunnels put together. What arrives is handed to the machine it concerns, and what
//! that answers is carried out here. It needs no agent: everything an agent says is state that stays.

mod act;
mod candidates;
mod counters;
mod excluded;
mod firewall;
mod gossip;
mod limits;
mod links;
mod methods;
mod outgoing;
mod outlet;
mod probes;
mod problems;
mod receive;
mod report;
mod routes;
mod seldom;
mod send;
mod taps;
mod trace;
mod tunnels;
mod vxlan;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use crate::control::{Bridge, Failure};
use crate::flood::Flood;
use crate::frame::Ends;
use crate::io::batch::OWN_BATCH_BYTES;
use crate::io::netlink::{Desired, Netlink, NetlinkError, Shortcut};
use crate::io::tap::READ_BYTES;
use crate::io::udp::{Received, Udp, RECEIVE_BYTES};
use crate::large::Large;
use crate::log;
use crate::order::Order;
use crate::prefix::Prefix;
use crate::reach::Reach;
use crate::session::{keys, Local, Now, Sessions, SystemRandom};
use crate::stun;
use crate::switch::{PortKind, Switch};
use crate::time::{Micros, MILLISECOND, SECOND};
use crate::trace::Traces;
use crate::tunnel::{Subnet, Via};
use crate::wire::{BootId, Label, LabelMap, NodeId};

use counters::{Counters, PerSecond};
use excluded::Excluded;
use firewall::NodeFirewall;
use limits::Limits;
use outlet::{Outlet, Refused};
use probes::PendingPing;
pub use probes::Pinged;
use problems::Problem;
use seldom::Seldom;
use taps::Taps;
use tunnels::Tunnels;

/// The switch's port of the tap, or of all the taps of tunnels (docs/wire.md §10.2).
pub const TAP_PORT: u32 = 1;
/// How long a "too big" is believed (§7).
const ROUTE_SIZE_LIFE: Micros = 600 * SECOND;
/// Some neighbours are told again of adjacency and revocations this often, each in its turn (§6.5).
const GOSSIP: Micros = 10 * SECOND;
/// Another adjacency is told once more after this long.
const GOSSIP_AGAIN: Micros = SECOND;
/// And not sooner than this after the last time: a neighbour that comes and goes must not make us tell all the others each time.
const GOSSIP_PAUSE: Micros = 200 * MILLISECOND;
/// A neighbour without a session is tried again this often, once a handshake went unanswered.
const KNOCK: Micros = 2 * SECOND;
/// The node's own addresses are looked at this often besides the kernel's notifications.
const LOOK: Micros = 5 * SECOND;
/// Notifications of the kernel come in bursts.
const SETTLE: Micros = 100 * MILLISECOND;
/// Frames read from the tap, or batches from the socket, before the others get their turn,
const TURN: usize = 64;
/// and bytes: what a bulk flow has waiting would keep everything else waiting for milliseconds.
const TURN_BYTES: usize = 64 << 10;

/// What to tell the control clients.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub name: &'static str,
    pub data: Value,
}

pub struct Node {
    pub node_id: NodeId,
    pub label: Label,
    pub boot_id: BootId,
    pub bridge: Bridge,
    pub udp_port: u16,
    pub sessions: Sessions,
    pub switch: Switch,
    flood: Flood,
    pub tunnels: Tunnels,
    pub outlet: Outlet,
    pub taps: Taps,
    netlink: Netlink,
    stun: stun::Client,
    /// As configured, also those that are not asked.
    stun_servers: Vec<SocketAddr>,
    excluded: Excluded,
    exclude_routes: Vec<Prefix>,
    /// The node's own addresses as last told: (address, type, server).
    local: BTreeSet<candidates::LocalCandidate>,
    /// Those of all interfaces that may be used.
    addresses: BTreeSet<IpAddr>,
    /// Links upon the overlay, ascending.
    inside: Vec<u32>,
    /// What is for these is joined inside of its tunnel; None where there is nothing of the kind.
    tunnel_ends: Option<Arc<Ends>>,
    /// As last asked of the kernel, whether it could or not.
    shortcut: Option<Shortcut>,
    /// Largest record towards a label that is not adjacent, learned by notice, and until when that holds.
    route_sizes: LabelMap<(u16, Micros)>,
    /// Which first hops lead to nodes that are not adjacent.
    reach: Reach,
    /// Frames that overtook others where their path changed.
    order: Order<receive::Held>,
    /// When neighbours that records are sent through are looked at next.
    forwards_at: Option<Micros>,
    demand: LabelMap<(u64, u64)>,
    /// Bytes of frames that came from taps, went to them or crossed this node in the present round of the loop.
    moved: usize,
    /// Whom to tell when a tunnel takes another size.
    large: Large,
    notices: PerSecond<(u8, u64, u64)>,
    limits: Limits,
    counters: Counters,
    transit_records: u64,
    traces: Traces,
    pings: Vec<PendingPing>,
    pinged: Vec<Pinged>,
    events: Vec<Event>,
    adjacency_sequence: u32,
    /// When it is told next because it changed, and once more because that may have been lost.
    adjacency_at: Option<Micros>,
    adjacency_again: Option<Micros>,
    gossip_at: Micros,
    /// Counts whose turn it is to be told again.
    gossip_turn: usize,
    /// When adjacency was last told to all.
    gossiped: Micros,
    look_at: Micros,
    /// When bridge, addresses, neighbour entries and routes are compared with what they should be: members or links changed.
    ensure_at: Option<Micros>,
    /// How they were when they were last as they should be.
    ensured: Option<Desired>,
    firewall: NodeFirewall,
    /// What keeps the routes from being as they should be.
    route_problems: Vec<Problem>,
    /// What the control clients were told last.
    problems_told: Vec<Problem>,
    /// Nobody tells when links change.
    pub unwatched: bool,
    seldom: Seldom,
    /// Whose bare records of the present batch came by their own proven path: asked once a batch, not once a record.
    heard: Option<Label>,
    tap_buffer: Vec<u8>,
    /// What a turn of the socket took, in the order it lies in `udp_buffer`.
    arrived: Vec<Received>,
    udp_buffer: Vec<u8>,
}

pub struct Setup {
    pub local: Local,
    pub bridge: Bridge,
    /// 0: derived from the label.
    pub udp_port: u16,
    pub stun: Vec<SocketAddr>,
    /// Names of interfaces that are not used.
    pub exclude: Vec<String>,
    /// Prefixes within which no route is set.
    pub exclude_routes: Vec<Prefix>,
    pub boot_id: BootId,
}

/// The UDP port that a label stands for (§8): two nodes on one LAN do not collide behind their NAT.
pub fn derived_port(label: Label) -> u16 {
    20_000 + (label.0 % 20_000) as u16
}

fn random<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    crate::session::Random::fill(&mut SystemRandom::new(), &mut out);
    out
}

impl Node {
    pub fn new(setup: Setup, now: Now) -> Result<Self, Failure> {
        let Setup { local, bridge, udp_port, stun: servers, exclude, exclude_routes, boot_id } = setup;
        let node_id = local.certificate().node_id();
        let label = node_id.label();
        let port = if udp_port == 0 { derived_port(label) } else { udp_port };
        let udp = Udp::bind(port).map_err(|error| {
            Failure::system(match error.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "UDP port {port} is taken: see who has it with ss -lunp 'sport = {port}', or set another network.udpPort"
                ),
                _ => format!("cannot bind UDP port {port}: {error}"),
            })
        })?;
        let system = |error: NetlinkError| Failure::system(error.to_string());
        let mut netlink = Netlink::open().map_err(system)?;
        let before = netlink.names().map_err(system)?;
        links::refuse_taken(&mut netlink, local.certificate(), &bridge.name)?;
        let taps = Taps::open(&bridge, now.us).map_err(|error| Failure::system(error.to_string()))?;
        let mut switch = Switch::new(label);
        switch.set_port(TAP_PORT, taps.port_name(), PortKind::Tap, true);
        let tag = u32::from_be_bytes(random());
        let mut node = Node {
            node_id,
            label,
            boot_id,
            bridge,
            udp_port: port,
            sessions: Sessions::new(local, Box::new(SystemRandom::new()), now),
            switch,
            flood: Flood::new(label, tag),
            tunnels: Tunnels::default(),
            outlet: Outlet::new(udp),
            taps,
            netlink,
            stun: stun::Client::new(random),
            stun_servers: Vec::new(),
            excluded: Excluded::new(&exclude),
            exclude_routes,
            local: BTreeSet::new(),
            addresses: BTreeSet::new(),
            inside: Vec::new(),
            tunnel_ends: None,
            shortcut: None,
            route_sizes: LabelMap::default(),
            reach: Reach::new(random),
            order: Order::default(),
            forwards_at: None,
            demand: LabelMap::default(),
            moved: 0,
            large: Large::default(),
            notices: PerSecond::new(10),
            limits: Limits::default(),
            counters: Counters::default(),
            transit_records: 0,
            traces: Traces::default(),
            pings: Vec::new(),
            pinged: Vec::new(),
            events: Vec::new(),
            adjacency_sequence: 0,
            adjacency_at: None,
            adjacency_again: None,
            gossip_at: now.us,
            gossip_turn: 0,
            gossiped: 0,
            look_at: now.us,
            ensure_at: None,
            ensured: None,
            firewall: NodeFirewall::default(),
            route_problems: Vec::new(),
            problems_told: Vec::new(),
            unwatched: false,
            seldom: Seldom::default(),
            heard: None,
            tap_buffer: vec![0; READ_BYTES],
            arrived: Vec::new(),
            udp_buffer: vec![0; TURN_BYTES + RECEIVE_BYTES],
        };
        if let Err(failure) = node.ensure_links(now) {
            node.undo_links(&before);
            return Err(failure);
        }
        // Before anything is sent: the look finds what is excluded.
        node.look(now);
        node.set_stun(&servers, now);
        log!(Info, "configured", node = node.node_id, label = node.label, port = node.udp_port);
        Ok(node)
    }

    /// Subnets that probes must never go to.
    fn overlay_subnets(&self) -> Vec<Subnet> {
        let parameters = self.sessions.parameters();
        let v4 = parameters.ipv4.map(|(ip, prefix)| Subnet { address: IpAddr::V4(ip), prefix });
        let v6 = parameters.ipv6.map(|(ip, prefix)| Subnet { address: IpAddr::V6(ip), prefix });
        v4.into_iter().chain(v6).collect()
    }

    // ---- what the loop calls ----

    /// The socket can be read.
    pub fn udp_ready(&mut self, now: Now) {
        let mut buffer = std::mem::take(&mut self.udp_buffer);
        let mut arrived = std::mem::take(&mut self.arrived);
        let (mut count, mut bytes, mut more) = (0, 0, true);
        while more && count < TURN && bytes < TURN_BYTES {
            more = self.take_arrived(&mut buffer, &mut arrived);
            count += arrived.len().max(1);
            bytes += arrived.iter().map(|got| got.bytes).sum::<usize>();
            self.open_arrived(&mut buffer, &arrived, now);
            arrived.clear();
        }
        (self.arrived, self.udp_buffer) = (arrived, buffer);
    }

    /// Takes one batch of the kernel's, and behind a large one the next, to lie one behind the other in `buffer`: a super-frame whose
    /// records left in two batches is joined again. A small one is opened at once, since who sent it may wait for the answer. False:
    /// there is no more.
    fn take_arrived(&mut self, buffer: &mut [u8], arrived: &mut Vec<Received>) -> bool {
        let mut used = 0;
        for _ in 0..TURN {
            match self.outlet.udp.receive(buffer.get_mut(used..).unwrap_or(&mut [])) {
                // It has crossed the overlay already: a path by which it came would run within itself.
                Ok(Some(got)) if self.inside.binary_search(&got.interface).is_ok() => self.counters.add("pathInside"),
                Ok(Some(got)) => {
                    used += got.bytes;
                    arrived.push(got);
                    if got.bytes <= OWN_BATCH_BYTES || used >= TURN_BYTES {
                        return true;
                    }
                }
                Ok(None) => return false,
                Err(error) => {
                    self.counters.add("udpReceive");
                    log!(Debug, "receive failed", error = error);
                    return false;
                }
            }
        }
        true
    }

    fn open_arrived(&mut self, buffer: &mut [u8], arrived: &[Received], now: Now) {
        let (mut rest, mut batches) = (buffer, arrived);
        while let Some(first) = batches.first() {
            // What proves a path may be in one batch, and records that need the proof in the next.
            let together = match self.tunnels.proven(Via::Direct(first.from), None) {
                Some(_) => batches.iter().take_while(|got| got.from == first.from).count(),
                None => 1,
            };
            let (opened, later) = batches.split_at(together);
            let bytes = opened.iter().map(|got| got.bytes).sum();
            let Some((own, behind)) = rest.split_at_mut_checked(bytes) else { break };
            self.arrived(own, opened, first.from, now);
            (batches, rest) = (later, behind);
        }
    }

    /// Bytes of frames since it was asked last.
    pub fn take_moved(&mut self) -> usize {
        std::mem::take(&mut self.moved)
    }

    /// Sends what is gathered and carries out what the kernel said about it. Called in each round of the loop.
    pub fn flush(&mut self, now: Now) {
        self.outlet.flush();
        for refused in self.outlet.take_refused() {
            self.refused(refused, now);
        }
        self.counters.add_many("relayQueue", self.outlet.outbox.take_dropped());
        self.counters.add_many("udpSend", std::mem::take(&mut self.outlet.dropped));
    }

    fn refused(&mut self, refused: Refused, now: Now) {
        let to = match refused {
            Refused::TooBig { to, .. } | Refused::Unreachable { to } => to,
        };
        for port in self.tunnels.ports() {
            let Some(tunnel) = self.tunnels.get_mut(port) else { continue };
            let mut actions = Vec::new();
            let via = Via::Direct(to);
            match refused {
                Refused::TooBig { bytes, .. } => {
                    let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
                    tunnel.paths.too_big(via, bytes, now.us, &mut actions);
                }
                Refused::Unreachable { .. } => tunnel.paths.unreachable(via, now.us, &mut actions),
            }
            self.run(port, actions, now);
        }
    }

    /// The agent's relay connection ended: what went by it has to go another way now, not in a second.
    pub fn relay_lost(&mut self, now: Now) {
        self.outlet.outbox.reset();
        for port in self.tunnels.ports() {
            let mut actions = Vec::new();
            if let Some(tunnel) = self.tunnels.get_mut(port) {
                tunnel.paths.unreachable(Via::Webrtc, now.us, &mut actions);
            }
            self.run(port, actions, now);
        }
    }

    pub fn deadline(&self) -> Option<Micros> {
        let knock = self.tunnels.iter().filter_map(|tunnel| tunnel.knocked_at).map(|at| at + KNOCK).min();
        [
            self.sessions.deadline(),
            self.tunnels.iter().filter_map(|tunnel| tunnel.paths.deadline()).min(),
            self.flood.deadline(),
            self.switch.deadline(),
            self.stun.deadline(),
            self.reach.deadline(),
            self.order.deadline(),
            self.forwards_at,
            self.pings.iter().map(PendingPing::deadline).min(),
            knock,
            self.adjacency_at,
            self.adjacency_again,
            Some(self.gossip_at),
            Some(self.look_at),
            self.ensure_at,
            self.firewall.deadline(),
            self.taps.sweep_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn tick(&mut self, now: Now) {
        if self.sessions.deadline().is_some_and(|at| at <= now.us) {
            let actions = self.sessions.tick(now);
            self.act(actions, now);
        }
        for port in self.tunnels.ports() {
            let mut actions = Vec::new();
            if let Some(tunnel) = self.tunnels.get_mut(port) {
                tunnel.paths.tick(now.us, &mut actions);
            }
            self.run(port, actions, now);
            self.knock(port, now);
        }
        if self.flood.deadline().is_some_and(|at| at <= now.us) {
            let actions = self.flood.tick(self.switch.neighbours(), now.us);
            self.flood_actions(actions, TAP_PORT, now);
        }
        for learned in self.switch.tick(now.us) {
            self.learned(&learned);
        }
        self.stun_tick(now);
        self.reach_tick(now);
        self.order_tick(now);
        self.forwards_tick(now);
        self.ping_tick(now);
        self.traces.tick(now.us);
        self.adjacency_tick(now);
        if now.us >= self.gossip_at {
            self.gossip(now);
        }
        if now.us >= self.look_at {
            self.look(now);
        }
        if self.ensure_at.is_some_and(|at| at <= now.us) {
            self.mend_links(now);
        }
        self.sweep_taps(now);
        self.firewall_tick(now);
    }

    /// Links or addresses changed, or it is time to see whether they did.
    pub fn look(&mut self, now: Now) {
        self.look_at = now.us + LOOK;
        if self.taps.is_missing() || self.unwatched {
            self.ensure_at = Some(now.us);
        }
        self.gather(now);
    }

    /// The kernel says that links or addresses changed.
    pub fn links_changed(&mut self, now: Now) {
        // A burst of notifications is one change.
        let soon = now.us + SETTLE;
        self.look_at = self.look_at.min(soon);
        self.ensure_at.get_or_insert(soon);
    }

    /// The kernel's neighbour entries and routes must follow the members.
    fn members_changed(&mut self, now: Now) {
        self.ensure_at = Some(now.us);
    }

    /// Asks for a session with a neighbour that has none.
    fn knock(&mut self, port: u32, now: Now) {
        let Some(tunnel) = self.tunnels.get_mut(port) else { return };
        if tunnel.knocked_at.is_none_or(|at| now.us < at + KNOCK) {
            return;
        }
        tunnel.knocked_at = Some(now.us);
        let label = tunnel.label;
        let started = self.sessions.start(label, now);
        self.act(started, now);
    }

    /// Keeps asking for a session with this neighbour until one stands.
    fn want_session(&mut self, port: u32, now: Now) {
        let Some(tunnel) = self.tunnels.get_mut(port) else { return };
        let label = tunnel.label;
        if self.sessions.usable(label, now) {
            return;
        }
        tunnel.knocked_at = Some(now.us);
        let started = self.sessions.start(label, now);
        self.act(started, now);
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn take_pinged(&mut self) -> Vec<Pinged> {
        std::mem::take(&mut self.pinged)
    }

    fn event(&mut self, name: &'static str, data: Value) {
        self.events.push(Event { name, data });
    }
}

/// Our own ciphers, best first.
pub fn ciphers() -> Vec<crate::session::Cipher> {
    keys::preferred_ciphers()
}
