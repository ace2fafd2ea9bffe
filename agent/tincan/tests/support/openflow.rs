//! As much of an OpenFlow 1.3 controller as it takes to program flows (OpenFlow Switch Specification 1.3.5 §7).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub const FLOOD: u32 = 0xffff_fffb;
pub const CONTROLLER: u32 = 0xffff_fffd;

const HELLO: u8 = 0;
const ERROR: u8 = 1;
const FLOW_MOD: u8 = 14;
const BARRIER_REQUEST: u8 = 20;
const BARRIER_REPLY: u8 = 21;

pub struct Switch {
    stream: UnixStream,
    xid: u32,
}

impl Switch {
    pub fn connect(path: &Path) -> Self {
        let stream = super::control::connect(path);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut switch = Self { stream, xid: 1 };
        switch.send(HELLO, &[]);
        switch
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> u32 {
        self.xid += 1;
        self.stream.write_all(&message(kind, self.xid, body)).unwrap();
        self.xid
    }

    pub fn flow(&mut self, flow: FlowMod) {
        self.send(FLOW_MOD, &flow.encode());
    }

    /// All that was sent is in force, and none of it was refused.
    pub fn barrier(&mut self) {
        let xid = self.send(BARRIER_REQUEST, &[]);
        loop {
            let mut header = [0; 8];
            self.stream.read_exact(&mut header).unwrap();
            let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
            self.stream.read_exact(&mut body).unwrap();
            assert_ne!(header[1], ERROR, "the switch refused: {body:02x?}");
            if header[1] == BARRIER_REPLY && header[4..] == xid.to_be_bytes() {
                return;
            }
        }
    }
}

fn message(kind: u8, xid: u32, body: &[u8]) -> Vec<u8> {
    let length = ((8 + body.len()) as u16).to_be_bytes();
    [&[4, kind][..], &length, &xid.to_be_bytes(), body].concat()
}

/// Hello and a flow, for a switch that is not behind a socket.
pub fn hello_and(flow: &FlowMod) -> Vec<u8> {
    [message(HELLO, 1, &[]), message(FLOW_MOD, 2, &flow.encode())].concat()
}

pub struct FlowMod {
    table: u8,
    priority: u16,
    fields: Vec<u8>,
    instructions: Vec<u8>,
}

impl FlowMod {
    pub fn new(table: u8, priority: u16) -> Self {
        Self { table, priority, fields: vec![], instructions: vec![] }
    }

    pub fn matching(mut self, field: Vec<u8>) -> Self {
        self.fields.extend(field);
        self
    }

    pub fn then(mut self, instruction: Vec<u8>) -> Self {
        self.instructions.extend(instruction);
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 16];
        out.extend([self.table, 0, 0, 0, 0, 0]);
        out.extend(self.priority.to_be_bytes());
        out.extend([0xff; 12]);
        out.extend([0; 4]);
        out.extend([0, 1]);
        out.extend((4 + self.fields.len() as u16).to_be_bytes());
        out.extend(&self.fields);
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend(&self.instructions);
        out
    }
}

fn oxm(field: u8, value: &[u8]) -> Vec<u8> {
    [&[0x80, 0x00, field << 1, value.len() as u8], value].concat()
}

pub fn in_port(port: u32) -> Vec<u8> {
    oxm(0, &port.to_be_bytes())
}

pub fn eth_dst(mac: [u8; 6]) -> Vec<u8> {
    oxm(3, &mac)
}

/// The MACs that have these bits in common.
pub fn eth_dst_masked(mac: [u8; 6], mask: [u8; 6]) -> Vec<u8> {
    [&[0x80, 0x00, 3 << 1 | 1, 12][..], &mac, &mask].concat()
}

pub fn tunnel_id(label: u64) -> Vec<u8> {
    oxm(38, &label.to_be_bytes())
}

pub fn output(port: u32) -> Vec<u8> {
    [&[0, 0, 0, 16][..], &port.to_be_bytes(), &[0xff, 0xff], &[0; 6]].concat()
}

pub fn set_tunnel(label: u64) -> Vec<u8> {
    let field = tunnel_id(label);
    let mut out = vec![0, 25, 0, 16];
    out.extend(field);
    out.resize(16, 0);
    out
}

pub fn apply(actions: Vec<Vec<u8>>) -> Vec<u8> {
    let actions = actions.concat();
    [&[0, 4][..], &(8 + actions.len() as u16).to_be_bytes(), &[0; 4], &actions].concat()
}

pub fn goto(table: u8) -> Vec<u8> {
    vec![0, 1, 0, 8, table, 0, 0, 0]
}
