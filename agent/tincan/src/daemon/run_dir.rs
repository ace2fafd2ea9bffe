//! The run directory, emptied under a running tincan (by hand, by a clean-up of /run): its sockets come back, so that the next
//! agent finds this tincan and starts no other.

use std::io;
use std::os::fd::AsRawFd;

use super::{owner, token, Daemon, Lock};
use crate::log;
use crate::time::{Micros, SECOND};

pub const LOOK: Micros = 5 * SECOND;

impl Daemon {
    pub(super) fn look_at_run_dir(&mut self, now: Micros) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK;
        if self.lock.lost() {
            match Lock::take(&self.run_dir) {
                Ok(lock) => self.lock = lock,
                // Another tincan was faster: the place is its own now.
                Err(reason) => {
                    log!(Warn, "the run directory is lost", reason = reason);
                    self.look_at = Micros::MAX;
                    return;
                }
            }
        }
        match self.renew_sockets() {
            Ok(0) => {}
            Ok(sockets) => {
                log!(Warn, "the sockets of the run directory were gone and are there again", sockets = sockets)
            }
            Err(reason) => log!(Warn, "the sockets of the run directory are gone", reason = reason),
        }
    }

    fn renew_sockets(&mut self) -> io::Result<u32> {
        let mut renewed = 0;
        let configured = self.node.is_some();
        let listeners = [
            (&mut self.clients.listener, owner::CONTROL, true),
            (&mut self.controllers.listener, owner::SWITCH, configured),
            (&mut self.relay.listener, owner::RELAY, configured),
        ];
        for (listener, owner, watched) in listeners {
            if !listener.lost() {
                continue;
            }
            listener.renew()?;
            if watched && self.doors.deadline().is_none() {
                self.poll.set(listener.as_raw_fd(), token(owner, 0), false)?;
            }
            renewed += 1;
        }
        Ok(renewed)
    }
}
