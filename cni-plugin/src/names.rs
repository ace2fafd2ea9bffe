//! Names and MACs that follow from whose they are, so that DEL, GC and a repeated ADD find a pod's link without any file.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use crate::net::Mac;
use crate::request::Attachment;

/// Of every host end; nothing else on a node is called so.
pub const HOST_PREFIX: &str = "evc";
const HOST_DIGITS: usize = 11;

/// What follows from one attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// SHA-256 of `containerID/ifname` in hex: the name of its record in the store.
    pub key: String,
    digest: [u8; 32],
}

impl Names {
    pub fn of(attachment: &Attachment) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{}/{}", attachment.container_id, attachment.ifname)).into();
        let key = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key, digest }
    }

    /// The host's end of the pair: `evc` and 11 hex digits.
    pub fn host(&self) -> String {
        host_of_key(&self.key)
    }

    /// Set, not left to chance: the pod's neighbour entry names it, and udev changes MACs that the kernel drew.
    pub fn host_mac(&self) -> Mac {
        let [a, b, c, d, e, ..] = self.digest;
        Mac([0x0a, a, b, c, d, e])
    }

    /// `02:46:a.b.c.d` from the IPv4 address (wire.md §3); without one, a MAC of our own that no rule reads.
    pub fn pod_mac(&self, addresses: &[IpAddr]) -> Mac {
        let v4 = addresses.iter().find_map(|address| match address {
            IpAddr::V4(v4) => Some(v4.octets()),
            IpAddr::V6(_) => None,
        });
        match v4 {
            Some([a, b, c, d]) => Mac([0x02, 0x46, a, b, c, d]),
            None => {
                let [.., a, b, c, d, e] = self.digest;
                Mac([0x06, a, b, c, d, e])
            }
        }
    }
}

/// The host end of the attachment whose record has this name.
pub fn host_of_key(key: &str) -> String {
    format!("{HOST_PREFIX}{}", key.get(..HOST_DIGITS).unwrap_or(key))
}

/// Whether a link of this name can be one of ours.
pub fn is_host_name(name: &str) -> bool {
    let digits = name.strip_prefix(HOST_PREFIX).unwrap_or_default();
    digits.len() == HOST_DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What `ip link` shows beside the host end; up to the first space it says which network the link belongs to.
pub fn alias(network: &str, attachment: &Attachment, pod: Option<&str>) -> String {
    const ALIAS_BYTES: usize = 255; // IFALIASZ - 1 (linux/if.h)
    let mut text = format!("{} {}", owner(network), pod.unwrap_or(&attachment.container_id));
    text.truncate((0..=ALIAS_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0));
    text
}

/// Whether a link with this alias is of `network`; one without an alias is a link whose ADD was cut off.
pub fn is_of(network: &str, alias: Option<&str>) -> bool {
    alias.is_none_or(|alias| alias.split(' ').next() == Some(&owner(network)))
}

fn owner(network: &str) -> String {
    format!("evio-cni:{network}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment() -> Attachment {
        Attachment { container_id: "abc".into(), ifname: "eth0".into() }
    }

    #[test]
    fn names_follow_from_the_attachment_alone() {
        let names = Names::of(&attachment());
        // printf abc/eth0 | sha256sum
        assert_eq!(names.key, "538f587a23655f38bbcd8344b3c3eab0963f28045c7aa32182e0c7ae75d90366");
        assert_eq!(names.host(), "evc538f587a236");
        assert!(names.host().len() < 16 && is_host_name(&names.host()));
        let other = Names::of(&Attachment { ifname: "eth1".into(), ..attachment() });
        assert_ne!(names.host(), other.host());
    }

    #[test]
    fn macs_are_local_unicast_and_of_a_pod_they_say_its_ipv4_address() {
        let names = Names::of(&attachment());
        let v6: IpAddr = "fd00::2".parse().unwrap();
        assert_eq!(names.pod_mac(&[v6, [10, 244, 3, 5].into()]).to_string(), "02:46:0a:f4:03:05");
        for mac in [names.host_mac(), names.pod_mac(&[v6])] {
            assert_eq!(mac.0[0] & 3, 2, "{mac}");
            assert_ne!(mac.0[0], 2);
        }
        assert_ne!(names.host_mac(), names.pod_mac(&[v6]));
    }

    #[test]
    fn other_links_are_not_taken_for_ours() {
        for name in ["evc", "evc0123456789", "evc0123456789ab", "evc0123456789g", "evio0", "eth0", "evcABCDEF01234"] {
            assert!(!is_host_name(name), "{name}");
        }
    }

    #[test]
    fn an_alias_says_whose_link_it_is() {
        let text = alias("evio", &attachment(), Some("shop/web-0"));
        assert_eq!(text, "evio-cni:evio shop/web-0");
        assert!(is_of("evio", Some(&text)) && is_of("evio", None));
        assert!(!is_of("evi", Some(&text)) && !is_of("evio", Some("somebody's")));
        assert_eq!(alias("evio", &attachment(), Some(&"ä".repeat(300))).len(), 254);
    }
}
