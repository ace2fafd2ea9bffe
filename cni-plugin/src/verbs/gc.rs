//! GC: takes away every attachment that is not among the valid ones; what no pod can use when it is not told which those are.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::error::{Code, Error};
use crate::io::netlink::Netlink;
use crate::names::Names;
use crate::store::Store;

use super::sweep::sweep;

pub fn gc(config: &Config) -> Result<(), Error> {
    let valid: Option<BTreeSet<String>> = config
        .valid_attachments()?
        .map(|attachments| attachments.iter().map(|attachment| Names::of(attachment).key).collect());
    let Some(store) = Store::existing(config)? else { return Ok(()) };
    let swept = sweep(config, &store, &mut Netlink::open()?, valid.as_ref())?;
    if swept.failures.is_empty() {
        return Ok(());
    }
    // The specification: go on, and report all of them at the end.
    let all = swept.failures.iter().map(|error| error.details.clone()).collect::<Vec<_>>().join("; ");
    Err(Error::new(Code::Kernel, format!("{} attachments could not be taken away: {all}", swept.failures.len())))
}
