//! The tunnels of this node, by port, label and address.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::outlet::Way;
use crate::forwards::Forwards;
use crate::time::Micros;
use crate::tunnel::{Paths, Via};
use crate::wire::{Label, LabelMap, NodeId};

/// Ports 16 and up are tunnels (docs/wire.md §10.2).
pub const FIRST_PORT: u32 = 16;
/// The relay socket numbers its ports in 16 bits.
const LAST_PORT: u32 = 0xffff;

pub struct Tunnel {
    pub port: u32,
    pub peer: NodeId,
    pub label: Label,
    pub note: String,
    pub paths: Paths,
    /// What the peer's agent named last, and those of it that the paths were given.
    pub named: Vec<SocketAddr>,
    pub allowed: Vec<SocketAddr>,
    pub tx_bytes: u64,
    pub rx_bytes: u64,
    /// What the switch was told last.
    pub up: bool,
    /// On its way out, see `tunnel-drain`.
    pub draining: bool,
    /// Our own address on the path in use.
    pub local: Option<SocketAddr>,
    /// Where the peer saw us.
    pub observed: Option<SocketAddr>,
    /// Sequence of the last adjacency record taken.
    pub adjacency_sequence: Option<u32>,
    /// When a session was last asked for while none stood.
    pub knocked_at: Option<Micros>,
    /// Whether it passes on what is sent through it.
    pub forwards: Forwards,
}

impl Tunnel {
    pub fn way(&self, via: Via) -> Way {
        match via {
            Via::Direct(address) => Way::Direct(address),
            Via::Webrtc => Way::Relay(self.port as u16),
        }
    }

    /// How records leave now.
    pub fn current(&self) -> Option<Way> {
        self.paths.current().map(|via| self.way(via))
    }
}

#[derive(Default)]
pub struct Tunnels {
    by_port: BTreeMap<u32, Tunnel>,
    by_label: LabelMap<u32>,
    next_port: u32,
    /// The address that was looked up last: batches of one source come in a row.
    last: Option<(SocketAddr, u32)>,
}

impl Tunnels {
    pub fn port_of(&self, label: Label) -> Option<u32> {
        self.by_label.get(&label).copied()
    }

    pub fn get(&self, port: u32) -> Option<&Tunnel> {
        self.by_port.get(&port)
    }

    pub fn get_mut(&mut self, port: u32) -> Option<&mut Tunnel> {
        self.by_port.get_mut(&port)
    }

    pub fn of(&self, label: Label) -> Option<&Tunnel> {
        self.get(self.port_of(label)?)
    }

    pub fn of_mut(&mut self, label: Label) -> Option<&mut Tunnel> {
        let port = self.port_of(label)?;
        self.get_mut(port)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Tunnel> {
        self.by_port.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tunnel> {
        self.by_port.values_mut()
    }

    pub fn ports(&self) -> Vec<u32> {
        self.by_port.keys().copied().collect()
    }

    /// Adds a tunnel; numbers are not used again soon, so that no late record meets another neighbour.
    pub fn add(&mut self, peer: NodeId, note: String, paths: Paths) -> Option<u32> {
        let mut port = self.next_port.max(FIRST_PORT);
        let mut tries = 0;
        while self.by_port.contains_key(&port) {
            port = if port >= LAST_PORT { FIRST_PORT } else { port + 1 };
            tries += 1;
            if tries > LAST_PORT {
                return None;
            }
        }
        self.next_port = if port >= LAST_PORT { FIRST_PORT } else { port + 1 };
        let label = peer.label();
        let tunnel = Tunnel {
            port,
            peer,
            label,
            note,
            paths,
            named: Vec::new(),
            allowed: Vec::new(),
            tx_bytes: 0,
            rx_bytes: 0,
            up: false,
            draining: false,
            local: None,
            observed: None,
            adjacency_sequence: None,
            knocked_at: None,
            forwards: Forwards::default(),
        };
        self.by_port.insert(port, tunnel);
        self.by_label.insert(label, port);
        Some(port)
    }

    pub fn remove(&mut self, port: u32) -> Option<Tunnel> {
        let tunnel = self.by_port.remove(&port)?;
        self.by_label.remove(&tunnel.label);
        self.last = None;
        Some(tunnel)
    }

    /// The tunnel whose proven path this is. The relay channel names its port itself.
    pub fn proven(&mut self, via: Via, channel: Option<u32>) -> Option<u32> {
        let proves = |tunnel: &Tunnel| tunnel.paths.proven(via);
        match via {
            Via::Webrtc => channel.filter(|&port| self.get(port).is_some_and(proves)),
            Via::Direct(address) => {
                let cached = self.last.filter(|&(known, port)| known == address && self.get(port).is_some_and(proves));
                let found = cached.map(|(_, port)| port).or_else(|| self.iter().find(|t| proves(t)).map(|t| t.port))?;
                self.last = Some((address, found));
                Some(found)
            }
        }
    }
}
