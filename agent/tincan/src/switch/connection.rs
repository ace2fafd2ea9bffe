//! One controller's connection: framing, hello, role, and what waits to be sent (clauses 6.2, 6.3).

use super::message::Role;
use super::openflow::{self, kind, Error, HEADER_LENGTH, VERSION};

/// A controller that does not read gets no packet-in, port-status or flow-removed beyond this much unsent.
const UNSENT_ASYNC_MAX: usize = 1 << 20;
/// And is closed beyond this: its own requests have piled up replies it never reads.
const UNSENT_MAX: usize = 64 << 20;
/// An error quotes the request it is about (clause 7.4.4: at least 64 bytes of it).
const QUOTE_MAX: usize = 64;

pub struct Header {
    pub version: u8,
    pub kind: u8,
    pub xid: u32,
}

impl Header {
    fn of(message: &[u8]) -> Option<Header> {
        let (&[version, kind, _, _, a, b, c, d], _) = message.split_first_chunk::<HEADER_LENGTH>()?;
        Some(Header { version, kind, xid: u32::from_be_bytes([a, b, c, d]) })
    }
}

pub struct Connection {
    received: Vec<u8>,
    /// Bytes of `received` that were handled already.
    handled: usize,
    unsent: Vec<u8>,
    pub greeted: bool,
    pub closed: bool,
    pub role: Role,
    pub miss_send_length: u16,
    /// Asynchronous messages it did not get because it does not read.
    pub missed: u64,
}

impl Connection {
    pub fn new() -> Self {
        let mut connection = Connection {
            received: Vec::new(),
            handled: 0,
            unsent: Vec::new(),
            greeted: false,
            closed: false,
            role: Role::Equal,
            miss_send_length: 128,
            missed: 0,
        };
        // The element tells the one version there is: bitmap type 1, length 8, bit 4 (clause 7.5.1).
        let bitmap = 1u32 << VERSION;
        connection.send(kind::HELLO, 0, |out| {
            out.extend([0, 1, 0, 8]);
            out.extend(bitmap.to_be_bytes());
        });
        connection
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.received.drain(..self.handled);
            self.handled = 0;
            self.received.extend_from_slice(bytes);
        }
    }

    /// The next whole message, taken out of the stream. A length below the header's cannot be skipped: the connection closes.
    pub fn next(&mut self) -> Option<(Header, Vec<u8>)> {
        if self.closed {
            return None;
        }
        let waiting = self.received.get(self.handled..)?;
        let header = Header::of(waiting)?;
        let length = usize::from(u16::from_be_bytes([*waiting.get(2)?, *waiting.get(3)?]));
        if length < HEADER_LENGTH {
            let quote = waiting.iter().copied().take(HEADER_LENGTH).collect::<Vec<_>>();
            self.error(header.xid, openflow::error::BAD_REQUEST_LEN, &quote);
            self.close();
            return None;
        }
        let message = waiting.get(..length)?.to_vec();
        self.handled += length;
        Some((header, message))
    }

    pub fn close(&mut self) {
        self.closed = true;
        self.received = Vec::new();
        self.handled = 0;
    }

    pub fn send(&mut self, kind: u8, xid: u32, body: impl FnOnce(&mut Vec<u8>)) {
        if self.unsent.len() > UNSENT_MAX {
            self.close();
        }
        if !self.closed {
            openflow::message(&mut self.unsent, kind, xid, body);
        }
    }

    /// A message it did not ask for.
    pub fn send_async(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        if !self.greeted {
            return;
        }
        if self.unsent.len() > UNSENT_ASYNC_MAX {
            self.missed += 1;
            return;
        }
        self.send(kind, 0, body);
    }

    pub fn error(&mut self, xid: u32, Error(kind, code): Error, request: &[u8]) {
        self.send(kind::ERROR, xid, |out| {
            out.extend(kind.to_be_bytes());
            out.extend(code.to_be_bytes());
            out.extend(request.iter().take(QUOTE_MAX));
        });
    }

    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unsent)
    }
}
