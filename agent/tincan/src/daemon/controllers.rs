//! OpenFlow connections: the agent's, and whoever looks with ovs-ofctl.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use super::{owner, token};
use crate::io::poll::{Poll, Ready};
use crate::io::stream::{Listener, Stream};
use crate::node::Node;
use crate::session::Now;
use crate::switch::ConnectionId;

/// A controller that lets this much wait does not read.
const PENDING_MAX: usize = 16 << 20;
const CONTROLLERS_MAX: usize = 16;
/// Reads before the others get their turn.
const TURN: usize = 16;

struct Controller {
    stream: Stream,
    waits_to_write: bool,
}

pub struct Controllers {
    pub listener: Listener,
    connections: BTreeMap<ConnectionId, Controller>,
}

impl Controllers {
    pub fn new(listener: Listener) -> Self {
        Self { listener, connections: BTreeMap::new() }
    }

    /// Takes all who wait; gives how many.
    pub fn accept(&mut self, poll: &Poll, node: &mut Node) -> io::Result<u32> {
        let mut taken = 0;
        while let Some(stream) = self.listener.accept()? {
            taken += 1;
            if self.connections.len() >= CONTROLLERS_MAX {
                continue;
            }
            let id = node.switch.connect();
            if poll.set(stream.as_raw_fd(), token(owner::CONTROLLER, id), false).is_ok() {
                self.connections.insert(id, Controller { stream, waits_to_write: false });
            } else {
                node.switch.disconnect(id);
            }
        }
        Ok(taken)
    }

    pub fn ready(&mut self, poll: &Poll, node: &mut Node, id: ConnectionId, ready: Ready, now: Now) {
        let Some(controller) = self.connections.get_mut(&id) else { return };
        let mut over = false;
        if ready.readable {
            let mut buffer = [0; 32 * 1024];
            for _ in 0..TURN {
                match controller.stream.read(&mut buffer) {
                    Ok(Some(bytes)) => {
                        let packets = node.switch.receive(id, bytes, now.us);
                        node.packets_out(packets, now);
                    }
                    Ok(None) => break,
                    Err(_) => {
                        over = true;
                        break;
                    }
                }
            }
        }
        if ready.writable {
            over |= controller.stream.flush().is_err();
        }
        self.settle(poll, node, id, over);
    }

    /// Sends what the switch has for its controllers.
    pub fn pump(&mut self, poll: &Poll, node: &mut Node) {
        for id in node.switch.ready() {
            let bytes = node.switch.outgoing(id);
            let Some(controller) = self.connections.get_mut(&id) else {
                node.switch.disconnect(id);
                continue;
            };
            let failed = controller.stream.write(&bytes).is_err() || controller.stream.pending() > PENDING_MAX;
            let over = failed || node.switch.is_closed(id);
            self.settle(poll, node, id, over);
        }
    }

    fn settle(&mut self, poll: &Poll, node: &mut Node, id: ConnectionId, over: bool) {
        if over {
            self.connections.remove(&id);
            node.switch.disconnect(id);
            return;
        }
        let Some(controller) = self.connections.get_mut(&id) else { return };
        let pending = controller.stream.pending() > 0;
        if pending != controller.waits_to_write {
            controller.waits_to_write = pending;
            let _ = poll.set(controller.stream.as_raw_fd(), token(owner::CONTROLLER, id), pending);
        }
    }
}
