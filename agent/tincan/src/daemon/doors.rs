//! The listening sockets when a connection cannot be taken (no descriptor left, no memory): level-triggered, they would be ready for
//! ever and take the whole processor. They rest a little, and who waits in their backlog is served when it is over.

use std::io;
use std::os::fd::AsRawFd;

use super::{owner, token, Daemon};
use crate::log;
use crate::time::{Micros, MILLISECOND};

const REST: Micros = 500 * MILLISECOND;

#[derive(Default)]
pub(super) struct Doors {
    /// Nobody is waited for until then.
    rest_until: Option<Micros>,
    /// Said once, until a connection is taken again.
    said: bool,
}

impl Doors {
    pub fn deadline(&self) -> Option<Micros> {
        self.rest_until
    }
}

impl Daemon {
    /// What became of taking connections: how many were taken before the error, if there was one.
    pub(super) fn taken(&mut self, result: io::Result<u32>, now: Micros) {
        match result {
            Ok(0) => {}
            Ok(_) => self.doors.said = false,
            Err(reason) => {
                if !std::mem::replace(&mut self.doors.said, true) {
                    log!(Warn, "cannot take connections for now", reason = reason);
                }
                self.doors.rest_until = Some(now + REST);
                for listener in [&self.clients.listener, &self.controllers.listener, &self.relay.listener] {
                    // One that is not watched yet is no error worth a word.
                    let _ = self.poll.forget(listener.as_raw_fd());
                }
            }
        }
    }

    pub(super) fn end_rest(&mut self, now: Micros) {
        if self.doors.rest_until.is_none_or(|until| now < until) {
            return;
        }
        self.doors.rest_until = None;
        self.open_doors(now);
    }

    /// Waits for connections; tries again after a rest when that cannot be had now.
    pub(super) fn open_doors(&mut self, now: Micros) {
        if let Err(reason) = self.watch_doors() {
            log!(Warn, "cannot wait for connections", reason = reason);
            self.doors.rest_until = Some(now + REST);
        }
    }

    /// Controllers and the relay wait in their backlogs until there is a node behind them.
    pub(super) fn watch_doors(&self) -> io::Result<()> {
        self.poll.set(self.clients.listener.as_raw_fd(), token(owner::CONTROL, 0), false)?;
        if self.node.is_some() {
            self.poll.set(self.controllers.listener.as_raw_fd(), token(owner::SWITCH, 0), false)?;
            self.poll.set(self.relay.listener.as_raw_fd(), token(owner::RELAY, 0), false)?;
        }
        Ok(())
    }
}
