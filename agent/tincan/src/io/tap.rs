//! A persistent tap whose reads and writes carry a virtio-net header, so that super-frames pass whole
//! (`linux/if_tun.h`; Documentation/networking/tuntap.rst).

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::frame::{MAX_MERGED, VNET_BYTES};

const DEVICE: &CStr = c"/dev/net/tun";

const TUNSETIFF: libc::Ioctl = 0x4004_54ca_u32 as libc::Ioctl;
const TUNSETPERSIST: libc::Ioctl = 0x4004_54cb_u32 as libc::Ioctl;
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0_u32 as libc::Ioctl;
const TUNSETVNETHDRSZ: libc::Ioctl = 0x4004_54d8_u32 as libc::Ioctl;
const TUNSETCARRIER: libc::Ioctl = 0x4004_54e2_u32 as libc::Ioctl;

const IFF_NO_CARRIER: libc::c_int = 0x40;

const TUN_F_CSUM: libc::c_ulong = 1;
const TUN_F_TSO4: libc::c_ulong = 2;
const TUN_F_TSO6: libc::c_ulong = 4;
const TUN_F_TSO_ECN: libc::c_ulong = 8;
const TUN_F_USO4: libc::c_ulong = 0x20;
const TUN_F_USO6: libc::c_ulong = 0x40;
const TUN_F_UDP_TUNNEL_GSO: libc::c_ulong = 0x80;
const TUN_F_UDP_TUNNEL_GSO_CSUM: libc::c_ulong = 0x100;

/// What one write takes at most: a front, headers and payloads.
const PARTS_MAX: usize = 2 + MAX_MERGED;

/// What one read gives at most: a super-frame of 64 KB behind its header.
pub const READ_BYTES: usize = VNET_BYTES + 65_536 + 64;

/// Why there is no tap, in words for the person who starts tincan.
#[derive(Debug)]
pub enum TapError {
    /// The name is empty or does not fit an interface name.
    Name(String),
    /// /dev/net/tun is not there, or no driver stands behind it.
    NoDevice,
    NotPermitted(String),
    /// Another process holds this tap.
    Busy(String),
    /// The name belongs to a link that is no tap of ours.
    OtherLink(String),
    System(&'static str, String, io::Error),
}

impl fmt::Display for TapError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(out, "\"{name}\" is no interface name: 1 to 15 bytes without '/' or spaces"),
            Self::NoDevice => {
                write!(out, "/dev/net/tun is missing: load the module (modprobe tun), or give the container the device")
            }
            Self::NotPermitted(name) => {
                write!(
                    out,
                    "not permitted to open tap {name}: run as root or with CAP_NET_ADMIN and access to /dev/net/tun"
                )
            }
            Self::Busy(name) => write!(out, "tap {name} is held by another process: is another tincan running?"),
            Self::OtherLink(name) => {
                write!(
                    out,
                    "an interface {name} exists and is no single-queue tap: remove it or configure another name"
                )
            }
            Self::System(what, name, error) => write!(out, "{what} of tap {name} failed: {error}"),
        }
    }
}

impl std::error::Error for TapError {}

#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    name: String,
    datagrams: bool,
    tunnels: bool,
}

impl Tap {
    /// Makes the tap `name`, or attaches to it if it is there from an earlier run.
    ///
    /// It stays when this process ends, so that the bridge above keeps its port, addresses and carrier state.
    pub fn open(name: &str) -> Result<Self, TapError> {
        Self::open_with(name, 0)
    }

    /// The same without carrier, until [`Tap::set_carrier`] gives it.
    pub fn open_silent(name: &str) -> Result<Self, TapError> {
        let tap = Self::open_with(name, IFF_NO_CARRIER)?;
        // A kernel before 6.2 does not know the flag.
        tap.set_carrier(false)?;
        Ok(tap)
    }

    fn open_with(name: &str, flags: libc::c_int) -> Result<Self, TapError> {
        let mut request = interface_request(name)?;
        let flags = flags | libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        let fd = open_device(name)?;
        // SAFETY: TUNSETIFF reads and writes one ifreq, which lives through the call.
        let set = unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETIFF, &mut request) };
        if set < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EPERM) => TapError::NotPermitted(name.to_owned()),
                Some(libc::EBUSY) => TapError::Busy(name.to_owned()),
                Some(libc::EINVAL | libc::EEXIST) => TapError::OtherLink(name.to_owned()),
                _ => TapError::System("creation", name.to_owned(), error),
            });
        }
        let mut tap = Self { fd, name: name.to_owned(), datagrams: false, tunnels: false };
        let header = VNET_BYTES as libc::c_int;
        // SAFETY: TUNSETVNETHDRSZ reads one int, which lives through the call.
        let sized = unsafe { libc::ioctl(tap.fd.as_raw_fd(), TUNSETVNETHDRSZ, &header) };
        tap.check("setting the header size", sized)?;
        // The mask belongs to the device, not to the descriptor: what an earlier owner left is cleared first.
        tap.control("clearing offloads", TUNSETOFFLOAD, 0)?;
        let oldest = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
        let segments = oldest | TUN_F_TSO_ECN;
        // Linux 6.2 and later,
        let datagrams = segments | TUN_F_USO4 | TUN_F_USO6;
        // and 6.17. (That kernel confuses the order of bytes on machines where it is not little-endian.)
        let tunnels = datagrams | TUN_F_UDP_TUNNEL_GSO | TUN_F_UDP_TUNNEL_GSO_CSUM;
        let takes = |mask| tap.control("offloads", TUNSETOFFLOAD, mask).is_ok();
        let takes_tunnels = cfg!(target_endian = "little") && takes(tunnels);
        let takes_datagrams = takes_tunnels || takes(datagrams);
        if !takes_datagrams && !takes(segments) {
            tap.control("offloads", TUNSETOFFLOAD, oldest)?;
        }
        (tap.tunnels, tap.datagrams) = (takes_tunnels, takes_datagrams);
        tap.control("persistence", TUNSETPERSIST, 1)?;
        Ok(tap)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it takes super-frames of UDP, and gives them.
    pub fn takes_datagrams(&self) -> bool {
        self.datagrams
    }

    /// Whether it takes super-frames inside UDP tunnels, and gives them.
    pub fn takes_tunnels(&self) -> bool {
        self.tunnels
    }

    /// Lets the kernel remove the tap once the last descriptor is closed.
    pub fn forget(self) -> Result<(), TapError> {
        self.control("removal", TUNSETPERSIST, 0)
    }

    /// Drops or gives back the carrier: a switch above sees its port go down (fast failover).
    pub fn set_carrier(&self, up: bool) -> Result<(), TapError> {
        let value = libc::c_int::from(up);
        // SAFETY: TUNSETCARRIER reads one int, which lives through the call.
        let set = unsafe { libc::ioctl(self.fd.as_raw_fd(), TUNSETCARRIER, &value) };
        self.check("carrier", set)
    }

    /// One frame or super-frame with its virtio-net header ([`crate::frame::parse_tap`]); None when there is no more.
    ///
    /// `buffer` holds [`READ_BYTES`]: what does not fit is lost.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: the kernel writes at most buffer.len() bytes to buffer.
            let got = unsafe { libc::read(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if let Ok(bytes) = usize::try_from(got) {
                return Ok(Some(bytes));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        }
    }

    /// Writes one frame or super-frame behind its virtio-net header, gathered from where its parts lie.
    pub fn write<'p>(&self, from: impl Iterator<Item = &'p [u8]>) -> io::Result<()> {
        const NONE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut parts = [NONE; PARTS_MAX];
        let mut count = 0;
        for (slot, part) in parts.iter_mut().zip(from) {
            *slot = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
            count += 1;
        }
        loop {
            // SAFETY: the first `count` entries point to slices that live through the call; writev only reads them.
            let put = unsafe { libc::writev(self.fd.as_raw_fd(), parts.as_ptr(), count) };
            if put >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn control(&self, what: &'static str, request: libc::Ioctl, value: libc::c_ulong) -> Result<(), TapError> {
        // SAFETY: this request takes its argument by value.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, value) };
        self.check(what, done)
    }

    fn check(&self, what: &'static str, result: libc::c_int) -> Result<(), TapError> {
        if result < 0 {
            return Err(TapError::System(what, self.name.clone(), io::Error::last_os_error()));
        }
        Ok(())
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

impl std::os::fd::AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open_device(name: &str) -> Result<OwnedFd, TapError> {
    // SAFETY: a constant C string and flags.
    let fd = unsafe { libc::open(DEVICE.as_ptr(), libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        return Err(match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TapError::NoDevice,
            Some(libc::EPERM | libc::EACCES) => TapError::NotPermitted(name.to_owned()),
            _ => TapError::System("opening /dev/net/tun", name.to_owned(), error),
        });
    }
    // SAFETY: open gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn interface_request(name: &str) -> Result<libc::ifreq, TapError> {
    let bytes = name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/' && *byte != b'%' && *byte != b':';
    if bytes.is_empty() || bytes.len() >= libc::IFNAMSIZ || !bytes.iter().all(plain) || name == "." || name == ".." {
        return Err(TapError::Name(name.to_owned()));
    }
    // SAFETY: ifreq is plain data; all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    Ok(request)
}

#[cfg(test)]
#[path = "tap_test.rs"]
mod tests;
