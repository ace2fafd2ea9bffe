//! What a process owes its system: one per run directory, privileges said clearly, signals, no silent end.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::log;

/// Bit of CAP_NET_ADMIN in capabilities(7).
const NET_ADMIN: u64 = 1 << 12;

/// One line that says what is missing, if something is.
pub fn check_privileges() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    if bits & NET_ADMIN == 0 {
        return Err("tincan makes a bridge and a tap and needs CAP_NET_ADMIN: run it as root".into());
    }
    Ok(())
}

/// sched(7): about ten times the weight of a process of nice 0.
const NICE: i32 = -10;

/// A datapath that waits for the processor drops packets and finds its paths dead. Left alone when somebody chose the nice value
/// (an agent that raised itself has done it for us), and when we may not (CAP_SYS_NICE).
pub fn raise_priority() {
    // SAFETY: plain system calls; this thread is the only one so far, later ones inherit it.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) == 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        }
        // "The autogroup feature" of sched(7): nice values count within a session, sessions share by a value of their own. Only a
        // session that is ours alone is raised, not a person's shell.
        if libc::getsid(0) == libc::getpid() && libc::getpriority(libc::PRIO_PROCESS, 0) == NICE {
            let _ = std::fs::write("/proc/self/autogroup", NICE.to_string());
        }
    }
}

/// Whoever started this process may have had descriptors open that are not close-on-exec (sockets and pipes of libdatachannel in
/// the agent). Kept here for the months a tincan runs they would hold ports and connections that nobody reads any more. Nothing is
/// handed over this way: standard input and output are all that tincan expects. For the start, before anything is opened.
pub fn close_inherited() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: plain system call; nothing in this process owns a descriptor of these numbers yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // A kernel before 5.9, or a container that does not know the call. Collected first: reading the directory has one open itself.
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    for fd in open.into_iter().filter(|&fd| fd >= FIRST as RawFd) {
        // SAFETY: as above; that of the directory is closed already, which is only an error here.
        unsafe { libc::close(fd) };
    }
}

/// Held as long as this process lives; the kernel lets go of it whatever ends the process.
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    pub fn take(run_dir: &Path) -> Result<Self, String> {
        let shown = run_dir.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(run_dir)
            .map_err(|error| format!("cannot make run directory {shown}: {error}"))?;
        let path = run_dir.join("tincan.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        // SAFETY: the descriptor is open.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } < 0 {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(format!("a tincan (pid {}) runs in {shown} already", pid.trim()));
        }
        // The number is for people; a full disk must not keep a node without its datapath.
        if let Err(reason) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            log!(Warn, "cannot write the lock's pid", file = path.display(), reason = reason);
        }
        Ok(Self { file, path })
    }

    /// The file was deleted: another tincan would not see that it is held.
    pub fn lost(&self) -> bool {
        let inode = |file: std::io::Result<std::fs::Metadata>| file.map(|file| file.ino()).ok();
        inode(std::fs::metadata(&self.path)) != inode(self.file.metadata())
    }
}

/// SIGTERM and SIGINT as something that can be waited for.
pub struct Signals(OwnedFd);

impl Signals {
    pub fn new() -> io::Result<Self> {
        // SAFETY: `set` is filled by sigemptyset before use and outlives the calls; the descriptor is owned at once.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, libc::SIGTERM);
            libc::sigaddset(&mut set, libc::SIGINT);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            let fd = libc::signalfd(-1, &set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // Closing its terminal is no order to end.
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub fn take(&mut self) -> Option<&'static str> {
        // SAFETY: signalfd_siginfo is plain data, and the kernel writes at most its size.
        let number = unsafe {
            let mut info: libc::signalfd_siginfo = std::mem::zeroed();
            let size = std::mem::size_of_val(&info);
            let got = libc::read(self.0.as_raw_fd(), std::ptr::from_mut(&mut info).cast(), size);
            if got != size as isize {
                return None;
            }
            info.ssi_signo as i32
        };
        Some(if number == libc::SIGINT { "SIGINT" } else { "SIGTERM" })
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A panic is a bug: it is logged in one line and the process ends at once, so that whoever watches it starts another.
pub fn die_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload().downcast_ref::<&str>().map(ToString::to_string);
        let message = message.or_else(|| info.payload().downcast_ref::<String>().cloned()).unwrap_or_default();
        log!(Error, "panic", place = place, message = message);
        std::process::abort();
    }));
}
