//! Sockets that are never waited for.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// Connections that wait to be taken: some seconds of all that are made, so that a process that stands still drops none.
const BACKLOG: i32 = 4_096;

pub fn listen(port: u16) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("::", port))?;
    // SAFETY: plain system call on a descriptor that lives; listening again changes the backlog only.
    if unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A connection that is on its way.
pub fn connect(to: SocketAddrV4) -> io::Result<TcpStream> {
    // SAFETY: the descriptor is checked and then owned by the stream alone; the address outlives the call.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let stream = TcpStream::from_raw_fd(fd);
        let mut address: libc::sockaddr_in = zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = to.port().to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
        let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        match libc::connect(fd, (&raw const address).cast(), size) {
            0 => Ok(stream),
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(stream),
                error => Err(error),
            },
        }
    }
}

/// Segments that the kernel has sent again on this connection, its SYN included.
pub fn retransmitted(fd: RawFd) -> u32 {
    // SAFETY: all zeros is a valid tcp_info, and the kernel writes no more than the size it is told.
    unsafe {
        let mut info: libc::tcp_info = zeroed();
        let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
        let done = libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut size);
        if done == 0 {
            info.tcpi_total_retrans
        } else {
            0
        }
    }
}

/// Connections that nobody answers pile up until they are given up.
pub fn allow_many_descriptors() {
    // SAFETY: plain system calls on a struct that outlives them.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
