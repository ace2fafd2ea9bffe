//! DEL: takes link and addresses away, whatever of them is there.

use crate::config::Config;
use crate::error::Error;
use crate::io::netlink::Netlink;
use crate::names::Names;
use crate::request::Attachment;
use crate::store::Store;

use super::release::release;

/// Needs neither the namespace nor the result of ADD: removing the host's end of a pair removes the pod's, and routes and neighbours
/// with it.
pub fn del(config: &Config, attachment: &Attachment) -> Result<(), Error> {
    let names = Names::of(attachment);
    let mut kernel = Netlink::open()?;
    let found = Store::existing(config).and_then(|store| match store {
        Some(store) => Ok(store.find(&names.key)?.map(|entry| (store, entry))),
        None => Ok(None),
    });
    match found {
        Ok(Some((store, entry))) => release(&store, &mut kernel, entry),
        Ok(None) => kernel.delete_link(&names.host()).map(drop),
        // What can be done without the store is done all the same.
        Err(error) => kernel.delete_link(&names.host()).and(Err(error)),
    }
}
