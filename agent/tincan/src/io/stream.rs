//! Unix stream sockets of the run directory: listening ones that only root may use, and connections that never block.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Tells our socket from one that somebody else put there.
    inode: u64,
}

impl Listener {
    /// Replaces what an earlier tincan left: the lock file says that none is running.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), inode: std::fs::metadata(path)?.ino() })
    }

    /// Nobody can find this socket any more: its file was deleted, or is another one.
    pub fn lost(&self) -> bool {
        std::fs::metadata(&self.path).map_or(true, |file| file.ino() != self.inode)
    }

    /// A new socket in the old place; connections that stand go on.
    pub fn renew(&mut self) -> io::Result<()> {
        // Dropped, the old one looks for its file, and finds that it is not its own.
        *self = Self::bind(&self.path.clone())?;
        Ok(())
    }

    /// The next waiting connection, if there is one.
    pub fn accept(&self) -> io::Result<Option<Stream>> {
        match self.socket.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(true)?;
                Ok(Some(Stream { socket, out: Vec::new(), sent: 0 }))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.lost() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A connection with a buffer for what the other side has not taken yet.
pub struct Stream {
    socket: UnixStream,
    out: Vec<u8>,
    sent: usize,
}

impl Stream {
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, out: Vec::new(), sent: 0 })
    }

    /// One read: the bytes it gave, None when there are none now, and an error (end of file among them) when the connection
    /// is over.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        match self.socket.read(buffer) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(buffer.get(..length)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes as much as the socket takes and keeps the rest.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(bytes);
        self.flush()
    }

    /// Bytes that wait for the other side.
    pub fn pending(&self) -> usize {
        self.out.len() - self.sent
    }

    pub fn flush(&mut self) -> io::Result<()> {
        while self.pending() > 0 {
            match self.socket.write(self.out.get(self.sent..).unwrap_or(&[])) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.pending() == 0 {
            self.out.clear();
            self.sent = 0;
            // A large answer (a dump of all flows) must not hold its memory for ever.
            self.out.shrink_to(64 * 1024);
        } else if self.sent > 256 * 1024 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
