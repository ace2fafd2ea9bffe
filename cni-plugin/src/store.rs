//! Which address is whose: files, so that no process needs to live for it.
//!
//! ```text
//! DATADIR/NETWORK/10.244.3.5      an address that is given away
//! DATADIR/NETWORK/adding/KEY      the same file, while its ADD is at work (KEY: `names::Names`)
//! DATADIR/NETWORK/attached/KEY    the same file, once the result was handed over
//! DATADIR/NETWORK/last/10.244.3.0_24   the address given last
//! DATADIR/NETWORK/boot            the boot that has taken away what earlier ones left
//! DATADIR/NETWORK/lock            held for the moment of a change
//! DATADIR/NETWORK/new             a record that has no name yet
//! ```
//!
//! A record is written under the name `new` and gets its names by link(2), which gives a name once only: never half a record, never
//! two owners. KEY comes first and goes last, so whatever the instant of a kill, KEY leads to all that must be taken away. Who works
//! on an attachment holds flock(2) on its record; the kernel lets go of it when that process dies.
//!
//! Nothing is synced to disk: after a power cut the boot id is another one, and every record void.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::{Config, Subnet};
use crate::error::{Code, Error};
use crate::net::Cidr;
use crate::record::Record;

const ADDING: &str = "adding";
const ATTACHED: &str = "attached";
const BOOT: &str = "boot";
const LAST: &str = "last";
const LOCK: &str = "lock";
const NEW: &str = "new";

/// Kubelets wait for a call for minutes; this is for a process that was stopped while it held a lock.
const PATIENCE: Duration = Duration::from_secs(20);
const NAP: Duration = Duration::from_micros(500);

#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    boot_id: String,
}

/// The right to give and to take back addresses.
#[derive(Debug)]
pub struct Locked<'a> {
    store: &'a Store,
    _lock: File,
}

/// A record somebody else left.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub finished: bool,
    /// None when the file is no record.
    pub record: Option<Record>,
    file: File,
}

/// Addresses that are ours, with the lock on their record.
#[derive(Debug)]
pub struct Reservation {
    pub record: Record,
    key: String,
    file: File,
}

#[derive(Debug)]
pub enum Reserved {
    Done(Box<Reservation>),
    /// Every address of this subnet belongs to a pod of this boot.
    Exhausted(Cidr),
    /// The address that was asked for belongs to another attachment.
    Taken(IpAddr),
}

impl Store {
    /// The store of this network, made when it is not there.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let store = Self::at(config)?;
        for name in [ADDING, ATTACHED, LAST] {
            let path = store.dir.join(name);
            if !path.is_dir() {
                fs::create_dir_all(&path).map_err(|error| Error::file("make", &path, &error))?;
            }
        }
        Ok(store)
    }

    /// The same for callers that only take away: None where nothing was ever given.
    pub fn existing(config: &Config) -> Result<Option<Self>, Error> {
        let store = Self::at(config)?;
        Ok(store.dir.join(ATTACHED).is_dir().then_some(store))
    }

    fn at(config: &Config) -> Result<Self, Error> {
        let path = &config.boot_id_file;
        let boot_id = fs::read_to_string(path).map_err(|error| Error::file("read the boot id from", path, &error))?;
        Ok(Self { dir: config.data_dir.join(&config.name), boot_id: boot_id.trim().to_owned() })
    }

    pub fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Whether what earlier boots left may still be here. Half a file, or none that can be read, says nothing.
    pub fn is_new_boot(&self) -> bool {
        fs::read_to_string(self.dir.join(BOOT)).map_or(true, |noted| noted.trim() != self.boot_id)
    }

    /// Notes that nothing of an earlier boot is left, if that is so: another process may be at work on some of it and be killed.
    pub fn note_boot(&self) -> Result<(), Error> {
        for key in self.keys()? {
            if self.find(&key)?.is_some_and(|entry| !entry.is_of_boot(&self.boot_id)) {
                return Ok(());
            }
        }
        let path = self.dir.join(BOOT);
        fs::write(&path, format!("{}\n", self.boot_id)).map_err(|error| Error::file("write", &path, &error))
    }

    pub fn lock(&self) -> Result<Locked<'_>, Error> {
        let path = self.dir.join(LOCK);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(|error| Error::file("open", &path, &error))?;
        wait_for(&file, &path)?;
        Ok(Locked { store: self, _lock: file })
    }

    /// The record of one attachment.
    pub fn find(&self, key: &str) -> Result<Option<Entry>, Error> {
        // In this order: an ADD that comes to its end meanwhile moves from the first to the second.
        for finished in [false, true] {
            if let Some(entry) = self.entry(key, finished)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The keys of all records.
    pub fn keys(&self) -> Result<BTreeSet<String>, Error> {
        // In the same order, for the same reason.
        let mut keys: BTreeSet<String> = names_in(&self.dir_of(false))?.into_iter().collect();
        keys.extend(names_in(&self.dir_of(true))?);
        Ok(keys)
    }

    /// Takes the right to work on this attachment; false when another process has it.
    pub fn try_claim(&self, entry: &mut Entry) -> Result<bool, Error> {
        let path = self.dir_of(entry.finished).join(&entry.key);
        if !try_lock(&entry.file).map_err(|error| Error::file("lock", &path, &error))? {
            return Ok(false);
        }
        self.after_claim(entry)?;
        Ok(true)
    }

    /// The same, and waits for the other process.
    pub fn claim(&self, entry: &mut Entry) -> Result<(), Error> {
        wait_for(&entry.file, &self.dir_of(entry.finished).join(&entry.key))?;
        self.after_claim(entry)
    }

    /// The process that had the claim may have come to its end.
    fn after_claim(&self, entry: &mut Entry) -> Result<(), Error> {
        entry.finished = is_same(&self.dir_of(true).join(&entry.key), &entry.file)?;
        Ok(())
    }

    /// Addresses that are given away, void ones among them.
    pub fn used(&self) -> Result<BTreeSet<IpAddr>, Error> {
        Ok(names_in(&self.dir)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn dir_of(&self, finished: bool) -> PathBuf {
        self.dir.join(if finished { ATTACHED } else { ADDING })
    }

    fn entry(&self, key: &str, finished: bool) -> Result<Option<Entry>, Error> {
        let path = self.dir_of(finished).join(key);
        let Some(mut file) = open_existing(&path)? else { return Ok(None) };
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(|error| Error::file("read", &path, &error))?;
        Ok(Some(Entry { key: key.to_owned(), finished, record: Record::parse(&bytes), file }))
    }

    fn address_path(&self, address: IpAddr) -> PathBuf {
        self.dir.join(address.to_string())
    }

    fn last_path(&self, subnet: &Cidr) -> PathBuf {
        self.dir.join(LAST).join(subnet.to_string().replace('/', "_"))
    }
}

impl Entry {
    pub fn is_of_boot(&self, boot_id: &str) -> bool {
        self.record.as_ref().is_some_and(|record| record.boot_id == boot_id)
    }
}

impl Locked<'_> {
    /// Gives one address of each subnet to an attachment that has none; `record` says what to write with them.
    pub fn reserve(
        &self,
        key: &str,
        subnets: &[Subnet],
        record: impl FnOnce(Vec<IpAddr>) -> Record,
    ) -> Result<Reserved, Error> {
        let mut addresses = vec![];
        for subnet in subnets {
            let chosen = match subnet.requested {
                Some(address) if self.is_free(address)? => Some(address),
                Some(address) => return Ok(Reserved::Taken(address)),
                None => self.next(subnet)?,
            };
            let Some(address) = chosen else { return Ok(Reserved::Exhausted(subnet.cidr)) };
            addresses.push(address);
        }
        let record = record(addresses);
        let file = self.write(key, &record)?;
        for (subnet, address) in subnets.iter().zip(&record.addresses) {
            // Where this fails or is cut off, the next address is looked for from the beginning: only the order suffers.
            let _ = fs::write(self.store.last_path(&subnet.cidr), address.to_string());
        }
        Ok(Reserved::Done(Box::new(Reservation { record, key: key.to_owned(), file })))
    }

    /// Takes addresses and record away, if they are still this entry's. The claim on it is the caller's.
    pub fn free(&self, entry: &Entry) -> Result<(), Error> {
        match &entry.record {
            Some(record) => self.unlink_all(&entry.key, &record.addresses, &entry.file),
            None => self.unlink_all(&entry.key, &self.store.used()?.into_iter().collect::<Vec<_>>(), &entry.file),
        }
    }

    /// Undoes a reservation.
    pub fn give_back(&self, reservation: &Reservation) -> Result<(), Error> {
        self.unlink_all(&reservation.key, &reservation.record.addresses, &reservation.file)
    }

    /// Takes away addresses that no record leads to; how many there were.
    pub fn free_strays(&self) -> Result<usize, Error> {
        self.unlink_new()?;
        let mut led_to = BTreeSet::new();
        for finished in [false, true] {
            let dir = self.store.dir_of(finished);
            for key in names_in(&dir)? {
                led_to.extend(identity(&dir.join(key))?);
            }
        }
        let mut count = 0;
        for address in self.store.used()? {
            let path = self.store.address_path(address);
            if identity(&path)?.is_some_and(|file| !led_to.contains(&file)) {
                unlink(&path)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn next(&self, subnet: &Subnet) -> Result<Option<IpAddr>, Error> {
        let last = fs::read_to_string(self.store.last_path(&subnet.cidr)).ok().and_then(|text| text.parse().ok());
        let start = subnet.pool.after(last);
        if !exists(&self.store.address_path(start))? {
            return Ok(Some(start));
        }
        if let Some(free) = subnet.pool.free(start, &self.store.used()?) {
            return Ok(Some(free));
        }
        // What an earlier boot left is taken only now: its owner may be about to take it away itself.
        for key in self.store.keys()? {
            let Some(mut entry) = self.store.find(&key)? else { continue };
            if !entry.is_of_boot(&self.store.boot_id) && self.store.try_claim(&mut entry)? {
                self.free(&entry)?;
            }
        }
        self.free_strays()?;
        Ok(subnet.pool.free(start, &self.store.used()?))
    }

    /// Whether nobody of this boot has the address; what an earlier boot left goes.
    fn is_free(&self, address: IpAddr) -> Result<bool, Error> {
        let path = self.store.address_path(address);
        let Some(mut file) = open_existing(&path)? else { return Ok(true) };
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).map_err(|error| Error::file("read", &path, &error))?;
        match Record::parse(&bytes) {
            Some(record) if record.boot_id == self.store.boot_id => Ok(false),
            Some(record) => self.unlink_all(&record.key(), &record.addresses, &file).map(|()| true),
            None => unlink(&path).map(|()| true),
        }
    }

    fn write(&self, key: &str, record: &Record) -> Result<File, Error> {
        // The name may be left over, with a record behind it that has its other names by now: it goes, the record stays.
        self.unlink_new()?;
        let new = self.store.dir.join(NEW);
        let failed = |error| Error::file("write", &new, &error);
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&new).map_err(failed)?;
        if !try_lock(&file).map_err(failed)? {
            return Err(failed(io::Error::other("somebody holds a lock on it")));
        }
        file.write_all(&record.bytes()).map_err(failed)?;
        let adding = self.store.dir.join(ADDING).join(key);
        let names =
            std::iter::once(adding).chain(record.addresses.iter().map(|address| self.store.address_path(*address)));
        for name in names {
            if let Err(error) = fs::hard_link(&new, &name) {
                let undone = self.unlink_all(key, &record.addresses, &file);
                return Err(undone.err().unwrap_or_else(|| Error::file("make", &name, &error)));
            }
        }
        self.unlink_new()?;
        Ok(file)
    }

    fn unlink_new(&self) -> Result<(), Error> {
        unlink(&self.store.dir.join(NEW))
    }

    /// Addresses first, the record last: until then it leads to them.
    fn unlink_all(&self, key: &str, addresses: &[IpAddr], file: &File) -> Result<(), Error> {
        let paths = addresses.iter().map(|address| self.store.address_path(*address));
        let records = [ADDING, ATTACHED].map(|dir| self.store.dir.join(dir).join(key));
        for path in paths.chain(records) {
            if is_same(&path, file)? {
                unlink(&path)?;
            }
        }
        Ok(())
    }
}

impl Reservation {
    /// The result is with the runtime: from now on the attachment stands until DEL.
    pub fn finish(&self, store: &Store) -> Result<(), Error> {
        let (from, to) = (store.dir_of(false).join(&self.key), store.dir_of(true).join(&self.key));
        fs::rename(&from, &to).map_err(|error| Error::file("move to attached/", &from, &error))
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        // SAFETY: a descriptor that lives through the call, and flags.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            ErrorKind::WouldBlock => return Ok(false),
            ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}

fn wait_for(file: &File, path: &Path) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    while !try_lock(file).map_err(|error| Error::file("lock", path, &error))? {
        if Instant::now() >= end {
            let details = format!("another evio-cni holds {} for more than {} s", path.display(), PATIENCE.as_secs());
            return Err(Error::new(Code::TryAgainLater, details));
        }
        std::thread::sleep(NAP);
    }
    Ok(())
}

fn open_existing(path: &Path) -> Result<Option<File>, Error> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("open", path, &error)),
    }
}

fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(|error| Error::file("look at", path, &error))
}

/// Device and inode: what tells a file under whatever name; None when there is none.
fn identity(path: &Path) -> Result<Option<(u64, u64)>, Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("look at", path, &error)),
    }
}

fn is_same(path: &Path, file: &File) -> Result<bool, Error> {
    let ours = file.metadata().map_err(|error| Error::file("look at the record of", path, &error))?;
    Ok(identity(path)? == Some((ours.dev(), ours.ino())))
}

fn unlink(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path, &error)),
        _ => Ok(()),
    }
}

fn names_in(dir: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: io::Error| Error::file("list", dir, &error);
    let listed = match fs::read_dir(dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(failed(error)),
    };
    let names = listed.map(|entry| entry.map(|entry| entry.file_name().into_string().unwrap_or_default()));
    names.collect::<io::Result<_>>().map_err(failed)
}

#[cfg(test)]
#[path = "store_test.rs"]
mod tests;
