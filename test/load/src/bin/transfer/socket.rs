//! Sockets as std has none: with IP options from the first packet on, and room for bursts.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::settings::Header;

const IP_OPTIONS: libc::c_int = 4;
const IPV6_HOPOPTS: libc::c_int = 54;
const IPV6_DSTOPTS: libc::c_int = 59;

/// Datagrams that wait while the receiver has no turn: a second of what is sent by default.
const RECEIVE_BYTES: libc::c_int = 32 << 20;

/// What setsockopt takes for it.
fn header_bytes(header: Header) -> (libc::c_int, libc::c_int, Vec<u8>) {
    let padded = |head: &[u8], length: usize| {
        let mut bytes = vec![0; length];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    };
    match header {
        // Type, length, and the place of the next address (RFC 791 §3.1): room for nine.
        Header::RecordRoute => (libc::IPPROTO_IP, IP_OPTIONS, padded(&[7, 39, 4], 39)),
        // The same with timestamps alone: room for nine.
        Header::Timestamp => (libc::IPPROTO_IP, IP_OPTIONS, padded(&[68, 40, 5, 0], 40)),
        // Next header (the kernel's to set), length in units of eight beyond the first, and one option: for experiments, to be skipped by
        // who does not know it (RFC 4727 §3.1), or PadN, of which Linux takes no more than seven bytes.
        Header::DestinationOptions => (libc::IPPROTO_IPV6, IPV6_DSTOPTS, padded(&[0, 1, 0x1e, 12], 16)),
        Header::HopByHop => (libc::IPPROTO_IPV6, IPV6_HOPOPTS, padded(&[0, 0, 1, 4], 8)),
    }
}

fn set(fd: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads value.len() bytes of a live slice.
    let set =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as libc::socklen_t) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn connected(to: SocketAddr, kind: libc::c_int, header: Option<Header>, patience: Duration) -> io::Result<OwnedFd> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers; the descriptor is owned at once.
    let fd = unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    if let Some(header) = header {
        let (level, name, value) = header_bytes(header);
        set(&fd, level, name, &value)?;
    }
    let limit = libc::timeval { tv_sec: patience.as_secs() as libc::time_t, tv_usec: 0 };
    for option in [libc::SO_SNDTIMEO, libc::SO_RCVTIMEO] {
        // SAFETY: a timeval is plain data.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const limit).cast::<u8>(), size_of::<libc::timeval>()) };
        set(&fd, libc::SOL_SOCKET, option, bytes)?;
    }
    // SAFETY: all zeros are values of both; they outlive the call, which reads as many bytes as it is told.
    let done = unsafe {
        match to {
            SocketAddr::V4(to) => {
                let mut address: libc::sockaddr_in = std::mem::zeroed();
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_port = to.port().to_be();
                address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
                let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                libc::connect(fd.as_raw_fd(), (&raw const address).cast(), size)
            }
            SocketAddr::V6(to) => {
                let mut address: libc::sockaddr_in6 = std::mem::zeroed();
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_port = to.port().to_be();
                address.sin6_addr.s6_addr = to.ip().octets();
                address.sin6_scope_id = to.scope_id();
                let size = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                libc::connect(fd.as_raw_fd(), (&raw const address).cast(), size)
            }
        }
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

/// A connection whose reads and writes end after `patience`.
pub fn tcp(to: SocketAddr, header: Option<Header>, patience: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::from(connected(to, libc::SOCK_STREAM, header, patience)?);
    // Small writes leave as small segments.
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub fn udp(to: SocketAddr, header: Option<Header>, patience: Duration) -> io::Result<UdpSocket> {
    Ok(UdpSocket::from(connected(to, libc::SOCK_DGRAM, header, patience)?))
}

/// A socket of both families on a port of its own.
pub fn udp_receiver() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(("::", 0))?;
    let size = RECEIVE_BYTES.to_ne_bytes();
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &size)
        .or_else(|_| set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &size))?;
    Ok(socket)
}
