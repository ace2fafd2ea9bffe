//! Clients of the control socket: the agent, the command line, somebody debugging.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use serde_json::Value;

use super::{owner, token};
use crate::control::{answer, event, Failure, Id, Lines};
use crate::io::poll::{Poll, Ready};
use crate::io::stream::{Listener, Stream};
use crate::log;

/// A client that lets this much wait does not read: it is cut off rather than fed from memory.
const PENDING_MAX: usize = 8 << 20;
const CLIENTS_MAX: usize = 64;
/// Reads before the others get their turn: who writes as fast as he is read would else hold the process, and its memory.
const TURN: usize = 16;

struct Client {
    stream: Stream,
    lines: Lines,
    /// It said hello: events are for it.
    greeted: bool,
    waits_to_write: bool,
}

pub struct Clients {
    pub listener: Listener,
    clients: BTreeMap<u32, Client>,
    next: u32,
}

impl Clients {
    pub fn new(listener: Listener) -> Self {
        Self { listener, clients: BTreeMap::new(), next: 1 }
    }

    /// Takes all who wait; gives how many.
    pub fn accept(&mut self, poll: &Poll) -> io::Result<u32> {
        let mut taken = 0;
        while let Some(stream) = self.listener.accept()? {
            taken += 1;
            if self.clients.len() >= CLIENTS_MAX {
                continue;
            }
            let id = self.next;
            self.next = self.next.wrapping_add(1);
            if poll.set(stream.as_raw_fd(), token(owner::CLIENT, id), false).is_ok() {
                let client = Client { stream, lines: Lines::default(), greeted: false, waits_to_write: false };
                self.clients.insert(id, client);
            }
        }
        Ok(taken)
    }

    pub fn greeted(&mut self, client: u32) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.greeted = true;
        }
    }

    /// Whole lines that can be read now.
    pub fn read(&mut self, poll: &Poll, id: u32, ready: Ready) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let Some(client) = self.clients.get_mut(&id) else { return found };
        let mut over = false;
        if ready.readable {
            let mut buffer = [0; 16 * 1024];
            for _ in 0..TURN {
                match client.stream.read(&mut buffer) {
                    Ok(Some(bytes)) => client.lines.push(bytes),
                    Ok(None) => break,
                    Err(_) => {
                        over = true;
                        break;
                    }
                }
            }
            loop {
                match client.lines.next_line() {
                    Ok(Some(line)) if line.is_empty() => {}
                    Ok(Some(line)) => found.push(line),
                    Ok(None) => break,
                    Err(_) => {
                        log!(Warn, "a control client sent a line without end");
                        over = true;
                        break;
                    }
                }
            }
        }
        if ready.writable {
            over |= client.stream.flush().is_err();
        }
        self.settle(poll, id, over);
        found
    }

    pub fn answer(&mut self, poll: &Poll, client: u32, id: Option<Id>, result: Result<Value, Failure>) {
        self.write(poll, client, &answer(id, result));
    }

    pub fn tell(&mut self, poll: &Poll, name: &str, data: &Value) {
        let line = event(name, data);
        let greeted: Vec<u32> = self.clients.iter().filter(|(_, c)| c.greeted).map(|(&id, _)| id).collect();
        for id in greeted {
            self.write(poll, id, &line);
        }
    }

    fn write(&mut self, poll: &Poll, id: u32, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let failed = client.stream.write(bytes).is_err() || client.stream.pending() > PENDING_MAX;
        self.settle(poll, id, failed);
    }

    /// Ends a connection that is over, or waits for what its state asks for.
    fn settle(&mut self, poll: &Poll, id: u32, over: bool) {
        if over {
            self.clients.remove(&id);
            return;
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        let pending = client.stream.pending() > 0;
        if pending != client.waits_to_write {
            client.waits_to_write = pending;
            let _ = poll.set(client.stream.as_raw_fd(), token(owner::CLIENT, id), pending);
        }
    }
}
