//! The way past br_netfilter.
//!
//! With `net.bridge.bridge-nf-call-iptables`, which every host of Kubernetes has set, the kernel runs the IP hooks already while a frame
//! is in the bridge. What NAT sends on to another node there has its way out by the very bridge it came by, so the kernel bridges it
//! instead of routing it, with its sender's MAC, back to the port it came from, where it ends. Frames of a VLAN are left out of that
//! (`bridge-nf-filter-vlan-tagged` is 0), and VLAN 0 is none: the tag has a priority only, and whoever takes the frame in takes it as if
//! it had no tag (IEEE 802.1Q §6.9, `check_vlan_id` of net/core/dev.c). So packets for the node itself get that tag, and the hooks
//! see them once, where they are routed.

use super::headers::{put, u16_at, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use super::merge::Delivery;
use super::vnet::{Vnet, VNET_BYTES};
use crate::wire::Mac;

const MACS: usize = 12;
/// 802.1Q, priority 0, VLAN 0.
const TAG: [u8; 4] = [0x81, 0x00, 0, 0];

/// A delivery with the tag behind its MACs.
pub struct Tagged<'d> {
    front: [u8; VNET_BYTES + MACS + TAG.len()],
    delivery: &'d Delivery<'d>,
}

impl<'d> Tagged<'d> {
    /// An IP packet for the node with this MAC, which has no tag yet. Nothing else is looked into by the hooks, or is the node's alone.
    pub fn of(delivery: &'d Delivery<'d>, own: Mac) -> Option<Self> {
        let headers = delivery.headers();
        let macs = headers.first_chunk::<MACS>().filter(|macs| macs.starts_with(&own.0))?;
        if !matches!(u16_at(headers, MACS), Ok(ETHERTYPE_IPV4 | ETHERTYPE_IPV6)) {
            return None;
        }
        let mut vnet = Vnet::parse(delivery.head.first_chunk()?);
        if vnet.needs_csum() {
            vnet.csum_start += TAG.len() as u16;
        }
        if vnet.hdr_len > 0 {
            vnet.hdr_len += TAG.len() as u16;
        }
        if vnet.outer_transport > 0 {
            vnet.outer_transport += TAG.len() as u16;
            vnet.inner_network += TAG.len() as u16;
        }
        let mut front = [0; VNET_BYTES + MACS + TAG.len()];
        put(&mut front, 0, &vnet.emit());
        put(&mut front, VNET_BYTES, macs);
        put(&mut front, VNET_BYTES + MACS, &TAG);
        Some(Self { front, delivery })
    }

    /// Virtio-net header and frame, in pieces.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let Delivery { head, payload, .. } = *self.delivery;
        let behind = self.delivery.headers().get(MACS..).unwrap_or(&[]);
        // Without headers of its own the delivery has them in its first piece.
        let rest = payload.get(usize::from(head.len() <= VNET_BYTES)..).unwrap_or(&[]);
        [&self.front[..], behind].into_iter().chain(rest.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::super::builder::{finish, transport_sum, Packet};
    use super::super::{parse_tap, Merger, CONTINUES, PARTIAL};
    use super::*;

    const OWN: Mac = Mac([2, 0x45, 10, 0, 0, 1]);

    /// Flags and frame.
    type Record = (u8, Vec<u8>);

    /// What a tap would be given of these records, tagged where it is for `own`, and without.
    fn written(records: &[Record], own: Mac) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
        let mut all = vec![];
        let mut sink = |delivery: &Delivery<'_>| {
            let tagged = Tagged::of(delivery, own).map(|tagged| tagged.parts().flatten().copied().collect());
            let mut plain = vec![];
            delivery.copy_to(&mut plain);
            all.push((tagged, plain));
        };
        let mut merger = Merger::new();
        for (counter, (flags, frame)) in records.iter().enumerate() {
            merger.push(1, counter as u64, *flags, frame, &mut sink).unwrap();
        }
        merger.flush(&mut sink);
        all
    }

    /// Two segments of one super-frame, a frame without its checksum, and one that is finished.
    fn shapes(v6: bool) -> Vec<(Packet, Vec<Record>)> {
        let packet = Packet { v6, payload: vec![7; 900], ..Packet::default() };
        let mut next = packet.clone();
        next.sequence += 900;
        next.identification = next.identification.wrapping_add(1);
        let datagram = Packet { protocol: 17, ..packet.clone() };
        vec![
            (packet.clone(), vec![(PARTIAL, packet.frame()), (PARTIAL | CONTINUES, next.frame())]),
            (datagram.clone(), vec![(PARTIAL, datagram.frame())]),
            (packet.clone(), vec![(0, packet.frame())]),
        ]
    }

    #[test]
    fn a_packet_for_the_node_is_the_same_behind_its_tag() {
        for (packet, records) in shapes(false).into_iter().chain(shapes(true)) {
            let [(Some(tagged), plain)] = &written(&records, OWN)[..] else { panic!("one delivery, tagged") };
            let (tagged, plain) = (parse_tap(tagged).unwrap(), parse_tap(plain).unwrap());
            assert_eq!(tagged.frame[..12], plain.frame[..12]);
            assert_eq!(tagged.frame[12..16], TAG);
            assert_eq!(tagged.frame[16..], plain.frame[12..]);
            let (now, was) = (tagged.vnet, plain.vnet);
            assert_eq!((now.flags, now.gso_type, now.gso_size), (was.flags, was.gso_type, was.gso_size));
            assert_eq!(now.hdr_len, if was.hdr_len > 0 { was.hdr_len + 4 } else { 0 });
            let mut frame = tagged.frame.to_vec();
            if now.needs_csum() {
                finish(&now, &mut frame);
            }
            let (network, transport) = (packet.network() + 4, packet.transport() + 4);
            let field = transport + if packet.protocol == 17 { 6 } else { 16 };
            let sum = transport_sum(&frame, network, transport, packet.protocol);
            assert_eq!(frame[field..field + 2], sum.to_be_bytes());
        }
    }

    #[test]
    fn what_is_for_others_for_all_or_of_a_vlan_stays_as_it_is() {
        for (_, records) in shapes(false).into_iter().chain(shapes(true)) {
            assert_eq!(written(&records, Mac([2, 0x46, 10, 0, 0, 1]))[0].0, None);
        }
        let frame = |mac: [u8; 6], behind: &[u8]| vec![(0, [&mac, &[2; 6], behind].concat())];
        for frame in [
            frame([0xff; 6], &[8, 0, 0x45]),
            frame([1, 0, 0x5e, 1, 2, 3], &[8, 0, 0x45]),
            frame(OWN.0, &[8, 6, 0, 1]),
            frame(OWN.0, &[0x81, 0, 0, 5, 8, 0, 0x45]),
            frame(OWN.0, &[0x88, 0xb5]),
        ] {
            assert_eq!(written(&frame, OWN)[0].0, None, "{frame:?}");
        }
        assert!(written(&frame(OWN.0, &[0x86, 0xdd]), OWN)[0].0.is_some());
    }
}
