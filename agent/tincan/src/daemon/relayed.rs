//! The relay socket: one agent carries the records of `webrtc` paths.

use std::io;
use std::os::fd::AsRawFd;

use super::{owner, token};
use crate::io::poll::{Poll, Ready};
use crate::io::stream::{Listener, Stream};
use crate::log;
use crate::node::Node;
use crate::relay::{Decoder, Unit};
use crate::session::Now;

/// What may lie in the stream's own buffer; the rest waits in the queue, where it can still be dropped.
const IN_FLIGHT: usize = 128 * 1024;
/// Read at once, before the others get their turn.
const TURN_BYTES: usize = 256 * 1024;

struct Agent {
    id: u32,
    stream: Stream,
    decoder: Decoder,
    waits_to_write: bool,
}

pub struct Relay {
    pub listener: Listener,
    agent: Option<Agent>,
    next: u32,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

impl Relay {
    pub fn new(listener: Listener) -> Self {
        Self { listener, agent: None, next: 1, out: Vec::new(), buffer: Vec::new() }
    }

    /// A second connection replaces the first: the agent started anew.
    pub fn accept(&mut self, poll: &Poll, node: &mut Node, now: Now) -> io::Result<u32> {
        let mut taken = 0;
        while let Some(stream) = self.listener.accept()? {
            taken += 1;
            let id = self.next;
            self.next = self.next.wrapping_add(1);
            if poll.set(stream.as_raw_fd(), token(owner::AGENT, id), false).is_err() {
                continue;
            }
            if self.agent.is_some() {
                self.close(node, now);
            }
            self.buffer.resize(64 * 1024, 0);
            self.agent = Some(Agent { id, stream, decoder: Decoder::default(), waits_to_write: false });
        }
        Ok(taken)
    }

    fn close(&mut self, node: &mut Node, now: Now) {
        self.agent = None;
        node.relay_lost(now);
    }

    pub fn ready(&mut self, poll: &Poll, node: &mut Node, ready: Ready, now: Now) {
        let Some(agent) = self.agent.as_mut().filter(|agent| agent.id == ready.token as u32) else { return };
        let mut over = false;
        if ready.readable {
            let mut left = TURN_BYTES;
            while left > 0 && !over {
                match agent.stream.read(&mut self.buffer) {
                    Ok(Some(bytes)) => {
                        left = left.saturating_sub(bytes.len());
                        agent.decoder.push(bytes);
                        over = !take_units(&mut agent.decoder, node, now);
                    }
                    Ok(None) => break,
                    Err(_) => over = true,
                }
            }
        }
        if ready.writable {
            over |= agent.stream.flush().is_err();
        }
        if over {
            self.close(node, now);
        } else {
            self.wait(poll);
        }
    }

    /// Moves what credit allows from the queue to the socket.
    pub fn pump(&mut self, poll: &Poll, node: &mut Node, now: Now) {
        let Some(agent) = &mut self.agent else { return };
        let room = IN_FLIGHT.saturating_sub(agent.stream.pending());
        if room == 0 || !node.outlet.outbox.is_ready() {
            return;
        }
        self.out.clear();
        node.outlet.outbox.take(room, now.us, &mut self.out);
        if agent.stream.write(&self.out).is_err() {
            self.close(node, now);
            return;
        }
        self.wait(poll);
    }

    fn wait(&mut self, poll: &Poll) {
        let Some(agent) = &mut self.agent else { return };
        let pending = agent.stream.pending() > 0;
        if pending != agent.waits_to_write {
            agent.waits_to_write = pending;
            let _ = poll.set(agent.stream.as_raw_fd(), token(owner::AGENT, agent.id), pending);
        }
    }
}

/// False when the stream cannot be followed any more.
fn take_units(decoder: &mut Decoder, node: &mut Node, now: Now) -> bool {
    loop {
        match decoder.next() {
            Ok(Some((Unit::Credit { port, bytes }, _))) => node.outlet.outbox.grant(port, bytes),
            Ok(Some((Unit::Records { port }, payload))) => node.relayed(u32::from(port), payload, now),
            Ok(None) => return true,
            Err(error) => {
                log!(Warn, "the relay connection is broken", reason = error);
                return false;
            }
        }
    }
}
