//! Everything that leaves this node: records to UDP in batches, and to the relay socket's queue.

use std::net::SocketAddr;

use crate::io::batch::Batch;
use crate::io::udp::{SendError, Udp};
use crate::relay::Outbox;
use crate::time::Micros;

/// Where a record goes, without asking anybody any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct(SocketAddr),
    /// The relay channel of this tunnel port.
    Relay(u16),
}

/// What the kernel refused, for the machine of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TooBig { to: SocketAddr, bytes: usize },
    Unreachable { to: SocketAddr },
}

pub struct Outlet {
    pub udp: Udp,
    batch: Batch,
    pub outbox: Outbox,
    scratch: Vec<u8>,
    refused: Vec<Refused>,
    /// Batches dropped because the socket stayed full or the kernel refused them.
    pub dropped: u64,
}

impl Outlet {
    pub fn new(udp: Udp) -> Self {
        Self {
            udp,
            batch: Batch::new(),
            outbox: Outbox::default(),
            scratch: Vec::new(),
            refused: Vec::new(),
            dropped: 0,
        }
    }

    /// A record of exactly `bytes`, which `fill` writes in place. When it answers false nothing is sent.
    pub fn put(
        &mut self,
        way: Way,
        bytes: usize,
        probe: bool,
        now: Micros,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        match way {
            Way::Direct(to) => {
                if !self.batch.fits(to, bytes) {
                    self.flush();
                }
                let Some(slot) = self.batch.slot(to, bytes) else { return false };
                let filled = fill(slot);
                if !filled {
                    self.batch.take_back();
                }
                filled
            }
            Way::Relay(port) => {
                self.scratch.clear();
                self.scratch.resize(bytes, 0);
                let filled = fill(&mut self.scratch);
                if filled {
                    self.outbox.push(port, &self.scratch, probe, now);
                }
                filled
            }
        }
    }

    pub fn send(&mut self, way: Way, record: &[u8], probe: bool, now: Micros) {
        self.put(way, record.len(), probe, now, |slot| {
            slot.copy_from_slice(record);
            true
        });
    }

    /// Sends what the batch holds. A full socket is waited for a moment: that is the back-pressure the tap's queue needs.
    pub fn flush(&mut self) {
        let Some(to) = self.batch.destination() else { return };
        let bytes = self.batch.record_bytes();
        for _ in 0..2 {
            match self.udp.send(&mut self.batch) {
                Ok(()) => return,
                Err(SendError::Full) => wait_writable(&self.udp),
                Err(SendError::TooBig) => {
                    self.refused.push(Refused::TooBig { to, bytes });
                    return;
                }
                Err(SendError::System(error)) => {
                    self.dropped += 1;
                    // EPERM is a firewall's drop, which may be gone with the next packet: only what the routing says is final.
                    let gone = [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENETDOWN, libc::EADDRNOTAVAIL];
                    if error.raw_os_error().is_some_and(|code| gone.contains(&code)) {
                        self.refused.push(Refused::Unreachable { to });
                    }
                    return;
                }
            }
        }
        self.dropped += 1;
        self.batch.clear();
    }

    pub fn take_refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }
}

#[allow(unsafe_code)]
fn wait_writable(udp: &Udp) {
    use std::os::fd::AsRawFd;
    const PATIENCE_MS: i32 = 5;
    let mut wait = libc::pollfd { fd: udp.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd that outlives the call.
    unsafe { libc::poll(&mut wait, 1, PATIENCE_MS) };
}
