//! What a file of the store says: whose an address is.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::names::Names;
use crate::request::Attachment;

/// JSON; all files of one attachment are the same file under several names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    #[serde(rename = "containerID")]
    pub container_id: String,
    pub ifname: String,
    pub netns: String,
    pub host_interface: String,
    pub mac: String,
    /// Of the boot in which it was made; in another one it is void.
    #[serde(rename = "bootID")]
    pub boot_id: String,
    pub addresses: Vec<IpAddr>,
    /// `namespace/name`, where the runtime told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

impl Record {
    /// None for what is no record: half a file that a power cut left, or something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub fn attachment(&self) -> Attachment {
        Attachment { container_id: self.container_id.clone(), ifname: self.ifname.clone() }
    }

    pub fn key(&self) -> String {
        Names::of(&self.attachment()).key
    }
}

/// What a sweep knows about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// A process is at work on it.
    pub busy: bool,
    /// Its ADD came to the end.
    pub finished: bool,
    pub this_boot: bool,
    /// The host end is there. It lives as long as the pod's namespace does, so nobody needs to look for that one.
    pub link: bool,
    /// GC: whether the runtime counts it among the valid ones.
    pub valid: Option<bool>,
}

impl Seen {
    /// Whether the address may be given to another pod.
    pub fn is_dead(self) -> bool {
        if self.busy {
            return false;
        }
        !self.this_boot || !self.finished || self.valid.map_or(!self.link, |valid| !valid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_dead_when_nobody_can_use_its_address() {
        let alive = Seen { busy: false, finished: true, this_boot: true, link: true, valid: None };
        assert!(!alive.is_dead());
        assert!(Seen { link: false, ..alive }.is_dead());
        assert!(Seen { finished: false, ..alive }.is_dead());
        assert!(Seen { this_boot: false, ..alive }.is_dead());
        assert!(Seen { valid: Some(false), ..alive }.is_dead());
        // The runtime knows better: the pod may be about to be checked, or its link made anew.
        assert!(!Seen { valid: Some(true), link: false, ..alive }.is_dead());
        assert!(!Seen { busy: true, finished: false, link: false, ..alive }.is_dead());
    }

    proptest! {
        #[test]
        fn a_record_reads_as_it_was_written(id in "[a-z0-9]{1,64}", pod in prop::option::of("\\PC{0,20}"), v4: u32, v6: u128) {
            let record = Record {
                container_id: id,
                ifname: "eth0".into(),
                netns: "/run/netns/x".into(),
                host_interface: "evc0123456789a".into(),
                mac: "02:46:0a:f4:03:05".into(),
                boot_id: "b".into(),
                addresses: vec![IpAddr::V4(v4.into()), IpAddr::V6(v6.into())],
                pod,
            };
            prop_assert_eq!(Record::parse(&record.bytes()), Some(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes: Vec<u8>) {
            let _ = Record::parse(&bytes);
        }

        #[test]
        fn half_a_record_is_none(cut in 0usize..150) {
            let record = Record {
                container_id: "a".into(), ifname: "eth0".into(), netns: "n".into(), host_interface: "h".into(),
                mac: "m".into(), boot_id: "b".into(), addresses: vec![], pod: None,
            };
            let bytes = record.bytes();
            let end = cut.min(bytes.len() - 2);
            prop_assert_eq!(Record::parse(&bytes[..end]), None);
        }
    }
}
