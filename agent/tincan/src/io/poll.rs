//! What the main loop waits for: epoll, level-triggered, on raw libc.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct Poll {
    epoll: OwnedFd,
}

/// Something to do for the owner of `token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
}

const READ: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP) as u32;
const WRITE: u32 = libc::EPOLLOUT as u32;
const FAILED: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
const BATCH: usize = 32;

impl Poll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the returned descriptor is checked and then owned by nobody else.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by the kernel.
        Ok(Self { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Waits for reading, and for writing if asked, on behalf of `token`. Adds the descriptor or changes what it waits for.
    pub fn set(&self, fd: RawFd, token: u64, write: bool) -> io::Result<()> {
        let mut event = libc::epoll_event { events: READ | if write { WRITE } else { 0 }, u64: token };
        match self.control(libc::EPOLL_CTL_MOD, fd, &mut event) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.control(libc::EPOLL_CTL_ADD, fd, &mut event)
            }
            other => other,
        }
    }

    /// Waits no longer for this descriptor (one that is closed needs no such call).
    pub fn forget(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, &mut libc::epoll_event { events: 0, u64: 0 })
    }

    fn control(&self, operation: i32, fd: RawFd, event: &mut libc::epoll_event) -> io::Result<()> {
        // SAFETY: `event` outlives the call; a wrong descriptor is an error, not undefined.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for at most `timeout_us` microseconds (None: for ever) and appends what is ready.
    pub fn wait(&self, timeout_us: Option<u64>, out: &mut Vec<Ready>) -> io::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // Whole milliseconds, rounded up: waking early would spin until the deadline.
        let timeout = timeout_us.map_or(-1, |us| i32::try_from(us.div_ceil(1_000)).unwrap_or(i32::MAX));
        // SAFETY: the kernel writes at most BATCH events into the array.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), BATCH as i32, timeout) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        out.extend(events.iter().take(count as usize).map(|event| {
            let bits = event.events;
            Ready { token: event.u64, readable: bits & (READ | FAILED) != 0, writable: bits & (WRITE | FAILED) != 0 }
        }));
        Ok(())
    }
}
