//! Builds frames for tests, apart from the code under test so that a mistake cannot hide itself, and checks them the long way.

use super::vnet::{Vnet, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM};

#[derive(Debug, Clone)]
pub struct Packet {
    pub v6: bool,
    pub vlans: Vec<u16>,
    /// IPv4 options or IPv6 hop-by-hop options, in units of 8 bytes.
    pub ip_options: usize,
    /// TCP options, in units of 4 bytes.
    pub tcp_options: usize,
    pub protocol: u8,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub identification: u16,
    pub flags: u8,
    pub payload: Vec<u8>,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            v6: false,
            vlans: vec![],
            ip_options: 0,
            tcp_options: 3,
            protocol: 6,
            sequence: 0x0102_0304,
            acknowledgement: 7,
            identification: 0xfffe,
            flags: 0x10,
            payload: vec![],
        }
    }
}

impl Packet {
    pub fn transport(&self) -> usize {
        self.network() + if self.v6 { 40 } else { 20 } + 8 * self.ip_options
    }

    pub fn network(&self) -> usize {
        14 + 4 * self.vlans.len()
    }

    pub fn header_bytes(&self) -> usize {
        self.transport() + if self.protocol == 17 { 8 } else { 20 + 4 * self.tcp_options }
    }

    /// The whole frame with right checksums everywhere.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = vec![2, 0x45, 10, 0, 0, 1, 2, 0x45, 10, 0, 0, 2];
        for vlan in &self.vlans {
            frame.extend([0x81, 0x00]);
            frame.extend(vlan.to_be_bytes());
        }
        let mut transport = self.transport_header();
        transport.extend(&self.payload);
        if self.v6 {
            self.ipv6(&mut frame, transport.len());
        } else {
            self.ipv4(&mut frame, transport.len());
        }
        frame.extend(&transport);
        let field = self.transport() + if self.protocol == 17 { 6 } else { 16 };
        let sum = transport_sum(&frame, self.network(), self.transport(), self.protocol);
        frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    fn transport_header(&self) -> Vec<u8> {
        let mut header = vec![0x30, 0x39, 0x14, 0x51];
        if self.protocol == 17 {
            header.extend((8 + self.payload.len() as u16).to_be_bytes());
            header.extend([0, 0]);
            return header;
        }
        header.extend(self.sequence.to_be_bytes());
        header.extend(self.acknowledgement.to_be_bytes());
        header.extend([((5 + self.tcp_options) as u8) << 4, self.flags, 0x20, 0x00, 0, 0, 0, 0]);
        header.extend((0..4 * self.tcp_options).map(|n| n as u8 | 0x40));
        header
    }

    fn ipv4(&self, frame: &mut Vec<u8>, payload: usize) {
        frame.extend([0x08, 0x00]);
        let start = frame.len();
        let header = 20 + 8 * self.ip_options;
        frame.extend([0x40 | (header / 4) as u8, 0x02]);
        frame.extend(((header + payload) as u16).to_be_bytes());
        frame.extend(self.identification.to_be_bytes());
        frame.extend([0x40, 0x00, 64, self.protocol, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
        frame.extend(std::iter::repeat_n(1, 8 * self.ip_options));
        let sum = !naive(&frame[start..]);
        frame[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
    }

    fn ipv6(&self, frame: &mut Vec<u8>, payload: usize) {
        frame.extend([0x86, 0xdd, 0x60, 0x00, 0x12, 0x34]);
        frame.extend(((8 * self.ip_options + payload) as u16).to_be_bytes());
        frame.extend([if self.ip_options > 0 { 0 } else { self.protocol }, 64]);
        for host in [2u8, 1] {
            frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        if self.ip_options > 0 {
            frame.extend([self.protocol, (self.ip_options - 1) as u8]);
            // PadN over the rest (RFC 8200 §4.2).
            frame.extend([1, (8 * self.ip_options - 4) as u8]);
            frame.extend(std::iter::repeat_n(0, 8 * self.ip_options - 4));
        }
    }

    /// What the kernel would put before this frame as a super-frame of segments of `size` bytes.
    pub fn super_vnet(&self, size: usize) -> Vnet {
        Vnet {
            flags: NEEDS_CSUM,
            gso_type: match (self.protocol, self.v6) {
                (17, _) => GSO_UDP_L4,
                (_, true) => GSO_TCPV6,
                (_, false) => GSO_TCPV4,
            },
            hdr_len: self.header_bytes() as u16,
            gso_size: size as u16,
            ..self.partial_vnet()
        }
    }

    /// What the kernel would put before this frame when only its checksum is missing.
    pub fn partial_vnet(&self) -> Vnet {
        Vnet {
            flags: NEEDS_CSUM,
            csum_start: self.transport() as u16,
            csum_offset: if self.protocol == 17 { 6 } else { 16 },
            ..Vnet::default()
        }
    }
}

/// RFC 1071, two bytes at a time.
pub fn naive(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The right TCP or UDP checksum of a frame, whatever its checksum field says.
pub fn transport_sum(frame: &[u8], network: usize, transport: usize, protocol: u8) -> u16 {
    let v6 = frame[network] >> 4 == 6;
    let addresses = if v6 { network + 8..network + 40 } else { network + 12..network + 20 };
    let mut all = frame[addresses].to_vec();
    all.extend(((frame.len() - transport) as u32).to_be_bytes());
    all.extend([0, 0, 0, protocol]);
    let field = all.len() + if protocol == 17 { 6 } else { 16 };
    all.extend(&frame[transport..]);
    all[field..field + 2].fill(0);
    !naive(&all)
}

/// Finishes a `NEEDS_CSUM` frame the way a network card would: sum from `csum_start`, the field's content included.
pub fn finish(vnet: &Vnet, frame: &mut [u8]) {
    let start = usize::from(vnet.csum_start);
    let field = start + usize::from(vnet.csum_offset);
    let sum = !naive(&frame[start..]);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}
