//! The one UDP socket of a node: both address families, batches by `UDP_SEGMENT` and `UDP_GRO`.
//!
//! Datagrams leave with "don't fragment" and the kernel's path MTU cache is not asked: tincan probes paths by itself
//! (RFC 8899), and an ICMP message somebody forged must not shrink them.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;

use super::batch::Batch;

/// As wireguard-go has it: room for 100 super-frames, so that a burst waits instead of being dropped.
const SOCKET_BUFFER_BYTES: libc::c_int = 7 << 20;
/// What one receive gives at most: a batch of datagrams merged by the kernel.
pub const RECEIVE_BYTES: usize = 65_536;
/// Destinations remembered as unable to take batches; beyond, the memory starts anew.
const UNSEGMENTED_MAX: usize = 1024;

const UDP_SEGMENT: libc::c_int = 103;
const UDP_GRO: libc::c_int = 104;
const IP_PMTUDISC_PROBE: libc::c_int = 3;

/// See [`set_batches`].
static BATCHES: AtomicBool = AtomicBool::new(true);

/// Of sockets bound from now on: with false every datagram is sent and received by itself, as on Linux before 4.18, which has neither
/// `UDP_SEGMENT` nor `UDP_GRO`.
pub fn set_batches(wanted: bool) {
    BATCHES.store(wanted, Ordering::Relaxed);
}

/// What the environment says of it (`EVIO_UDP_GSO`, docs/operations.md): nothing, `on` or `off`.
pub fn batches_wanted(value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("" | "on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(format!("EVIO_UDP_GSO={other} is not allowed; allowed: on, off")),
    }
}

const CONTROL_BYTES: usize = 128;
/// Room for control messages of an int and of an `in6_pktinfo`, in the alignment of `cmsghdr`.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// What one receive gave: `bytes` of `buffer`, as datagrams of `segment` bytes each, the last may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub from: SocketAddr,
    pub bytes: usize,
    /// Never 0.
    pub segment: usize,
    /// Number of the interface it came by; 0 where the kernel does not tell.
    pub interface: u32,
}

#[derive(Debug)]
pub enum SendError {
    /// The socket is full: the batch is kept, send it again when the socket can be written to.
    Full,
    /// The records are larger than the interface takes; the batch is gone.
    TooBig,
    /// No route, forbidden by a firewall, or the like; the batch is gone.
    System(io::Error),
}

#[derive(Debug)]
pub struct Udp {
    fd: OwnedFd,
    family: libc::c_int,
    segments: bool,
    /// See [`batch_needs_tail`].
    tail: bool,
    unsegmented: Mutex<HashSet<SocketAddr>>,
    any_unsegmented: AtomicBool,
}

impl Udp {
    /// Binds `port` on all addresses of both families; only of IPv4 where the machine has no IPv6.
    pub fn bind(port: u16) -> io::Result<Self> {
        let batches = BATCHES.load(Ordering::Relaxed);
        match Self::bind_family(libc::AF_INET6, port, batches) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                Self::bind_family(libc::AF_INET, port, batches)
            }
            bound => bound,
        }
    }

    fn bind_family(family: libc::c_int, port: u16, batches: bool) -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is owned at once.
        let fd = unsafe {
            let fd = libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let address = if family == libc::AF_INET6 {
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE)?;
            // By which interface a datagram came, of either family.
            set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
        } else {
            set_option(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
            SocketAddr::from(([0, 0, 0, 0], port))
        };
        // Also on the IPv6 socket: it is what IPv4 datagrams of it go by.
        set_option(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)?;
        for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            if set_option(&fd, libc::SOL_SOCKET, forced, SOCKET_BUFFER_BYTES).is_err() {
                set_option(&fd, libc::SOL_SOCKET, plain, SOCKET_BUFFER_BYTES)?;
            }
        }
        // Both may be missing (Linux before 5.0 and 4.18): then every datagram is one call.
        if batches {
            let _ = set_option(&fd, libc::SOL_UDP, UDP_GRO, 1);
        }
        let segments = batches && set_option(&fd, libc::SOL_UDP, UDP_SEGMENT, 0).is_ok();
        let (storage, length) = to_kernel(address, family);
        // SAFETY: the kernel reads `length` bytes of a live sockaddr_storage.
        if unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&storage).cast(), length) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let tail = batch_needs_tail(&kernel_release());
        Ok(Self { fd, family, segments, tail, unsegmented: Mutex::default(), any_unsegmented: AtomicBool::new(false) })
    }

    /// The port that was bound.
    pub fn port(&self) -> io::Result<u16> {
        let mut storage = empty_storage();
        let mut length = std::mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes of a live sockaddr_storage.
        let got =
            unsafe { libc::getsockname(self.fd.as_raw_fd(), std::ptr::from_mut(&mut storage).cast(), &mut length) };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(from_kernel(&storage).map_or(0, |address| address.port()))
    }

    /// The next batch of datagrams of one source, as many as the kernel merged; None when there is no more.
    ///
    /// `buffer` holds [`RECEIVE_BYTES`].
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut storage = empty_storage();
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; CONTROL_BYTES]);
        // SAFETY: msghdr is plain data (musl has padding fields); every pointer set below outlives the calls.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = std::ptr::from_mut(&mut storage).cast();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        loop {
            message.msg_namelen = std::mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            message.msg_controllen = control.0.len() as _;
            // SAFETY: see above.
            let got = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &mut message, 0) };
            let Ok(bytes) = usize::try_from(got) else {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                }
            };
            // A batch cut by a short buffer has a last datagram that fails to open, as any other broken one.
            let Some(from) = from_kernel(&storage) else { continue };
            let told = told(&message);
            let segment = told.segment.unwrap_or(bytes).max(1);
            return Ok(Some(Received { from, bytes, segment, interface: told.interface }));
        }
    }

    /// Sends the batch and empties it, unless the socket is full.
    pub fn send(&self, batch: &mut Batch) -> Result<(), SendError> {
        let sent = self.send_kept(batch);
        if !matches!(sent, Err(SendError::Full)) {
            batch.clear();
        }
        sent
    }

    fn send_kept(&self, batch: &mut Batch) -> Result<(), SendError> {
        let Some(to) = batch.destination() else { return Ok(()) };
        let single = batch.pending_records() < 2;
        if single || !self.segments || batch.is_partly_sent() || self.is_unsegmented(to) {
            return self.send_each(batch, to);
        }
        match self.send_bytes(batch.wire(self.tail), to, Some(batch.record_bytes())) {
            Ok(()) => Ok(()),
            // EIO: the egress has no checksum offload. EINVAL: no segmentation there, or records above the MTU. Only if the
            // records pass one by one it was the batch that did not.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                let sent = self.send_each(batch, to);
                if sent.is_ok() {
                    self.remember_unsegmented(to);
                }
                sent
            }
            Err(error) => Err(classify(error)),
        }
    }

    fn send_each(&self, batch: &mut Batch, to: SocketAddr) -> Result<(), SendError> {
        while let Some(record) = batch.next_record() {
            self.send_bytes(record, to, None).map_err(classify)?;
            batch.record_sent();
        }
        Ok(())
    }

    fn send_bytes(&self, bytes: &[u8], to: SocketAddr, segment: Option<usize>) -> io::Result<()> {
        let (mut storage, length) = to_kernel(to, self.family);
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = Control([0; CONTROL_BYTES]);
        // SAFETY: msghdr is plain data; every pointer set below outlives the calls, and sendmsg only reads through them.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = std::ptr::from_mut(&mut storage).cast();
        message.msg_namelen = length;
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if let Some(segment) = segment {
            message.msg_control = control.0.as_mut_ptr().cast();
            // SAFETY: `control` is aligned for a cmsghdr and larger than CMSG_SPACE of a u16.
            unsafe {
                message.msg_controllen = libc::CMSG_SPACE(2) as _;
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_UDP;
                (*header).cmsg_type = UDP_SEGMENT;
                (*header).cmsg_len = libc::CMSG_LEN(2) as _;
                libc::CMSG_DATA(header).cast::<u16>().write_unaligned(segment as u16);
            }
        }
        loop {
            // SAFETY: see above.
            if unsafe { libc::sendmsg(self.fd.as_raw_fd(), &message, libc::MSG_NOSIGNAL) } >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn is_unsegmented(&self, to: SocketAddr) -> bool {
        self.any_unsegmented.load(Ordering::Relaxed) && self.unsegmented.lock().is_ok_and(|set| set.contains(&to))
    }

    fn remember_unsegmented(&self, to: SocketAddr) {
        if let Ok(mut set) = self.unsegmented.lock() {
            if set.len() >= UNSEGMENTED_MAX {
                set.clear();
            }
            set.insert(to);
            self.any_unsegmented.store(true, Ordering::Relaxed);
        }
    }
}

impl AsRawFd for Udp {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

fn classify(error: io::Error) -> SendError {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => SendError::Full,
        Some(libc::EMSGSIZE) => SendError::TooBig,
        _ => SendError::System(error),
    }
}

/// What the kernel says beside a datagram.
#[derive(Default)]
struct Told {
    /// The size of each datagram of a merged batch (`UDP_GRO`), if it merged any.
    segment: Option<usize>,
    interface: u32,
}

fn told(message: &libc::msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: the kernel has filled the control buffer and its length; the macros stay inside of it, and each message holds what its
    // level and type say.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_UDP, UDP_GRO) => {
                    told.segment = usize::try_from(data.cast::<libc::c_int>().read_unaligned()).ok();
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    told.interface = data.cast::<libc::in6_pktinfo>().read_unaligned().ipi6_ifindex as u32;
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    told.interface = data.cast::<libc::in_pktinfo>().read_unaligned().ipi_ifindex as u32;
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    told
}

fn set_option(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads one int, which lives through the call.
    let set = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), length) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Linux 7.0 to 7.1.4 garbles batches whose segments are all equal; one more datagram of one byte avoids it (Tailscale's
/// commit 8b58bd6). The receiver drops it: no record has one byte.
fn batch_needs_tail(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let version = (next(), next(), next());
    ((7, 0, 0)..=(7, 1, 4)).contains(&version)
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()
}

fn empty_storage() -> libc::sockaddr_storage {
    // SAFETY: sockaddr_storage is plain data; all zeros is a value of it (family AF_UNSPEC).
    unsafe { std::mem::zeroed() }
}

/// The address as a socket of `family` takes it: an IPv6 socket reaches IPv4 by mapped addresses (RFC 4291 §2.5.5.2).
fn to_kernel(address: SocketAddr, family: libc::c_int) -> (libc::sockaddr_storage, libc::socklen_t) {
    let mut storage = empty_storage();
    if family == libc::AF_INET {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(ip) => ip.to_ipv4_mapped().unwrap_or(std::net::Ipv4Addr::UNSPECIFIED),
        };
        let mut v4: libc::sockaddr_in = empty_v4();
        v4.sin_family = libc::AF_INET as libc::sa_family_t;
        v4.sin_port = address.port().to_be();
        v4.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
        // SAFETY: sockaddr_storage is large enough and aligned for every sockaddr.
        unsafe { std::ptr::from_mut(&mut storage).cast::<libc::sockaddr_in>().write(v4) };
        return (storage, std::mem::size_of::<libc::sockaddr_in>() as libc::socklen_t);
    }
    let v6 = match address {
        SocketAddr::V6(v6) => v6,
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
    };
    let raw = libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: v6.port().to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
        sin6_scope_id: v6.scope_id(),
    };
    // SAFETY: sockaddr_storage is large enough and aligned for every sockaddr.
    unsafe { std::ptr::from_mut(&mut storage).cast::<libc::sockaddr_in6>().write(raw) };
    (storage, std::mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t)
}

fn empty_v4() -> libc::sockaddr_in {
    // SAFETY: sockaddr_in is plain data; all zeros is a value of it.
    unsafe { std::mem::zeroed() }
}

/// A mapped IPv4 address comes back as IPv4: nothing above knows that one socket serves both.
fn from_kernel(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what stands there, and the storage is large and aligned enough.
            let v4 = unsafe { std::ptr::from_ref(storage).cast::<libc::sockaddr_in>().read() };
            let ip = std::net::Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddrV4::new(v4, port).into(),
                None => SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "udp_test.rs"]
mod tests;
