//! Network namespaces. The plugin has one thread, so the process goes in and comes back.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;

use crate::error::{Code, Error};

#[derive(Debug)]
pub struct Namespace {
    file: File,
}

impl Namespace {
    /// The one this thread is in.
    pub fn current() -> Result<Self, Error> {
        let path = "/proc/thread-self/ns/net";
        let file = File::open(path).map_err(|error| Error::file("open", path.as_ref(), &error))?;
        Ok(Self { file })
    }

    /// The pod's, by the path in CNI_NETNS.
    pub fn open(path: &str) -> Result<Self, Error> {
        File::open(path).map(|file| Self { file }).map_err(|error| {
            let code = if error.kind() == io::ErrorKind::NotFound { Code::UnknownContainer } else { Code::Io };
            Error::new(code, format!("cannot open CNI_NETNS {path}: {error}"))
        })
    }

    pub fn is(&self, other: &Self) -> bool {
        let id = |namespace: &Self| namespace.file.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        id(self).is_some() && id(self) == id(other)
    }

    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs `work` in this namespace, and comes back to `home` whatever it gives.
    pub fn inside<T>(&self, home: &Self, work: impl FnOnce() -> T) -> Result<T, Error> {
        self.enter().map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => Error::new(Code::InvalidEnvironment, "CNI_NETNS is a file, but no network namespace"),
            _ => Error::new(Code::Kernel, format!("cannot enter the pod's network namespace: {error}")),
        })?;
        let result = work();
        // In the wrong namespace every further step would hit the pod instead of the node.
        if let Err(error) = home.enter() {
            eprintln!("evio-cni: cannot come back from the pod's network namespace: {error}");
            std::process::abort();
        }
        Ok(result)
    }

    fn enter(&self) -> io::Result<()> {
        // SAFETY: a descriptor that lives through the call.
        if unsafe { libc::setns(self.fd(), libc::CLONE_NEWNET) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
