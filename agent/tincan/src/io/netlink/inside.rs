//! Which links lie upon the overlay: their frames leave by its bridge, so a path by their addresses would run within itself.

use super::snapshot::{Address, Link};

/// The numbers of such links, ascending. `own` are the names of the overlay's bridge and taps; upon them are the bridge's ports, VLANs
/// and the like on any of them, and tunnels (VXLAN, GRE, IP in IP) that leave by one or have an end with an address of one.
pub fn inside(links: &[Link], addresses: &[Address], own: &[&str]) -> Vec<u32> {
    let mut found: Vec<u32> =
        links.iter().filter(|link| own.contains(&link.name.as_str())).map(|link| link.index).collect();
    loop {
        let upon = |link: &&Link| {
            let has = |index: u32| found.contains(&index);
            let port = link.controller.is_some_and(|bridge| own_bridge(links, own, bridge));
            let below = link.below.is_some_and(has);
            let end = link.end.is_some_and(|end| addresses.iter().any(|one| one.address == end && has(one.index)));
            !has(link.index) && (port || below || end)
        };
        let more: Vec<u32> = links.iter().filter(upon).map(|link| link.index).collect();
        if more.is_empty() {
            found.sort_unstable();
            return found;
        }
        found.extend(more);
    }
}

/// Only the overlay's own bridge makes its ports part of it: another one may join a tunnel upon the overlay with a network beside it.
fn own_bridge(links: &[Link], own: &[&str], index: u32) -> bool {
    links.iter().any(|link| link.index == index && own.contains(&link.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> Link {
        Link { index, name: name.to_owned(), ..Link::default() }
    }

    fn address(index: u32, text: &str) -> Address {
        Address { index, address: text.parse().unwrap(), prefix: 16, unfinished: false }
    }

    const OWN: [&str; 2] = ["evio0", "evio0-tap"];

    fn overlay() -> Vec<Link> {
        let tap = Link { controller: Some(2), ..link(3, "evio0-tap") };
        vec![link(1, "lo"), link(2, "evio0"), tap, link(4, "eth0")]
    }

    #[test]
    fn the_bridge_and_its_ports_are_inside_and_the_underlay_is_not() {
        let mut links = overlay();
        links.push(Link { controller: Some(2), ..link(5, "pod") });
        assert_eq!(inside(&links, &[], &OWN), [2, 3, 5]);
    }

    #[test]
    fn vlans_of_the_bridge_and_what_is_upon_those_are_inside() {
        let mut links = overlay();
        links.push(Link { below: Some(7), ..link(5, "macvlan") });
        links.push(Link { below: Some(4), ..link(6, "eth0.7") });
        links.push(Link { below: Some(2), ..link(7, "evio0.7") });
        assert_eq!(inside(&links, &[], &OWN), [2, 3, 5, 7]);
    }

    #[test]
    fn a_tunnel_between_addresses_of_the_overlay_is_inside_and_one_of_the_underlay_is_not() {
        let mut links = overlay();
        links.push(Link { end: Some("10.45.0.1".parse().unwrap()), ..link(5, "flannel.1") });
        links.push(Link { end: Some("fd45::1".parse().unwrap()), ..link(6, "gre6") });
        links.push(Link { end: Some("192.168.1.5".parse().unwrap()), ..link(7, "vxlan.lan") });
        links.push(Link { end: Some("10.45.0.9".parse().unwrap()), ..link(8, "of-nobody") });
        let addresses = [address(2, "10.45.0.1"), address(2, "fd45::1"), address(4, "192.168.1.5")];
        assert_eq!(inside(&links, &addresses, &OWN), [2, 3, 5, 6]);
    }

    #[test]
    fn a_bridge_that_joins_a_tunnel_with_the_underlay_stays_outside() {
        let mut links = overlay();
        links.push(Link { controller: Some(6), below: Some(2), ..link(5, "vxlan") });
        links.push(link(6, "br-lan"));
        links.push(Link { controller: Some(6), ..link(7, "eth1") });
        assert_eq!(inside(&links, &[], &OWN), [2, 3, 5]);
    }
}
