//! Ports (clause 7.2.1) and their counters (clause 7.3.5.6).

use super::PortKind;
use crate::time::Micros;

pub const STATE_LINK_DOWN: u32 = 1;
pub const STATE_LIVE: u32 = 4;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortCounters {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
}

#[derive(Debug, Clone)]
pub struct Port {
    pub name: String,
    pub kind: PortKind,
    pub up: bool,
    pub created: Micros,
    pub counters: PortCounters,
}

impl Port {
    pub fn received(&mut self, bytes: usize) {
        self.counters.rx_packets += 1;
        self.counters.rx_bytes += bytes as u64;
    }

    pub fn sent(&mut self, bytes: usize) {
        self.counters.tx_packets += 1;
        self.counters.tx_bytes += bytes as u64;
    }

    pub fn state(&self) -> u32 {
        if self.up {
            STATE_LIVE
        } else {
            STATE_LINK_DOWN
        }
    }

    /// struct ofp_port, 64 bytes: port (4) | 0 (4) | MAC (6) | 0 (2) | name (16) | config (4) | state (4) | features and speeds (24)
    pub fn encode(&self, number: u32, out: &mut Vec<u8>) {
        out.extend(number.to_be_bytes());
        out.extend([0; 4]);
        // A port of this switch has no MAC of its own; this one is locally administered and only fills the field.
        let [a, b, c, d] = number.to_be_bytes();
        out.extend([0x06, 0x45, a, b, c, d, 0, 0]);
        let mut name = [0; 16];
        name.iter_mut().take(15).zip(self.name.as_bytes()).for_each(|(to, from)| *to = *from);
        out.extend(name);
        out.extend([0; 4]);
        out.extend(self.state().to_be_bytes());
        out.extend([0; 24]);
    }
}
