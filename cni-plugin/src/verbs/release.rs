//! Taking an attachment away: the same steps for DEL, GC, a sweep and an ADD that finds the remains of another.

use crate::error::Error;
use crate::io::netlink::Netlink;
use crate::names::host_of_key;
use crate::store::{Entry, Store};

/// Link first, addresses then, the record last. Whatever this is cut off at, the rest is found by the record that is still there.
pub fn release(store: &Store, kernel: &mut Netlink, mut entry: Entry) -> Result<(), Error> {
    store.claim(&mut entry)?;
    release_claimed(store, kernel, &entry)
}

/// The same with the claim already taken.
pub fn release_claimed(store: &Store, kernel: &mut Netlink, entry: &Entry) -> Result<(), Error> {
    // An address may be given to the next pod only when this one cannot use it any more.
    kernel.delete_link(&host_of_key(&entry.key))?;
    store.lock()?.free(entry)
}
