use std::net::{IpAddr, Ipv4Addr};

use super::super::tap::Tap;
use super::super::testing::{in_namespace, ip, ip_output, readable};
use super::*;
use crate::frame::Network;
use crate::wire::Mac;

const MAC: Mac = Mac([0x02, 0x45, 10, 9, 0, 1]);

fn peer(host: u8) -> Vec<Neighbour> {
    let addresses = [IpAddr::from([10, 9, 0, host]), format!("fd09::{host}").parse().unwrap()];
    Neighbour::of_member(addresses, Mac::of_node(Ipv4Addr::new(10, 9, 0, host))).collect()
}

pub(super) fn desired() -> Desired {
    Desired {
        bridge: "evio0".into(),
        taps: vec!["evio0-up".into()],
        attach: true,
        mac: MAC,
        mtu: 1400,
        addresses: vec![([10, 9, 0, 1].into(), 24), ("fd09::1".parse().unwrap(), 64)],
        neighbours: [peer(2), peer(3)].concat(),
        routes: vec![],
    }
}

/// The kernel's defaults may differ from machine to machine: whatever is refused is named, nothing here is.
pub(super) fn settled(netlink: &mut Netlink, desired: &Desired) {
    assert_eq!(netlink.ensure(desired).unwrap(), Changes::default(), "a second look changes nothing");
}

#[test]
fn the_bridge_stands_with_its_port_addresses_and_neighbours() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let changes = netlink.ensure(&desired()).unwrap();
        assert_eq!(changes.refused, Vec::<String>::new());
        settled(&mut netlink, &desired());

        let link = ip_output("-d link show evio0");
        for part in [
            "02:45:0a:09:00:01",
            "mtu 1400",
            "stp_state 0",
            "mcast_snooping 0",
            "addrgenmode none",
            ",UP",
            // A bound would be TCP's of this node, but the kernel cuts in software what is above it and only passes through.
            "gso_max_segs 65535",
        ] {
            assert!(link.contains(part), "{part} in {link}");
        }
        let tap = ip_output("link show evio0-up");
        assert!(tap.contains("master evio0") && tap.contains("mtu 1400"), "{tap}");
        assert_eq!(ip_output("addr show evio0-up").matches("inet").count(), 0);
        let addresses = ip_output("addr show evio0");
        for part in ["10.9.0.1/24", "fd09::1/64", "fe80::45:aff:fe09:1/64"] {
            assert!(addresses.contains(part), "{part} in {addresses}");
        }
        assert_eq!(addresses.matches("inet").count(), 3);
        assert!(!addresses.contains("tentative"));
        let neighbours = ip_output("neigh show dev evio0 nud permanent");
        assert_eq!(neighbours.matches("02:45:0a:09:00:02 PERMANENT").count(), 3, "{neighbours}");
    });
}

#[test]
fn a_renewed_certificate_changes_what_it_changes_and_leaves_what_others_set() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        ip("addr add 192.168.77.1/24 dev evio0");
        ip("neigh add 10.9.0.99 lladdr 00:11:22:33:44:55 dev evio0 nud permanent");

        let mut other = desired();
        other.addresses[0] = ([10, 9, 0, 7].into(), 24);
        other.neighbours = peer(3);
        other.neighbours[0].mac = Mac([0x02, 0x45, 1, 1, 1, 1]);
        other.mtu = 1300;
        let made = netlink.ensure(&other).unwrap().made;
        assert_eq!(made.len(), 2 + 2 + 3 + 1, "{made:?}");
        settled(&mut netlink, &other);
        let addresses = ip_output("addr show evio0");
        assert!(addresses.contains("10.9.0.7/24") && !addresses.contains("10.9.0.1/24"));
        assert!(addresses.contains("192.168.77.1/24"));
        let neighbours = ip_output("neigh show dev evio0");
        assert!(neighbours.contains("10.9.0.3 lladdr 02:45:01:01:01:01") && !neighbours.contains("10.9.0.2 "));
        assert!(neighbours.contains("10.9.0.99"));
    });
}

#[test]
fn what_somebody_deletes_is_noticed_and_made_again() {
    in_namespace(|| {
        let tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        let mut monitor = Monitor::open().unwrap();
        assert_eq!(monitor.drain().unwrap(), Noticed::default());
        for harm in [
            "link del evio0",
            "link set evio0 down",
            "addr flush dev evio0",
            "neigh flush dev evio0 nud permanent",
            "link set evio0-up nomaster",
            "link set evio0-up down",
            "link set evio0 type bridge stp_state 1 mcast_snooping 1",
            "link set evio0 mtu 1290",
            "link set evio0 address 02:45:00:00:00:09",
        ] {
            ip(harm);
            assert!(readable(&monitor, 1000), "{harm} is noticed");
            let noticed = monitor.drain().unwrap();
            if harm.starts_with("neigh") {
                let gone = |wanted: &Neighbour| {
                    let of_it = |entry: &&ChangedNeighbour| entry.address == wanted.address;
                    noticed.neighbours.iter().rfind(of_it).is_some_and(|entry| entry.permanent.is_none())
                };
                assert!(desired().neighbours.iter().all(gone), "{noticed:?}");
            } else {
                assert!(noticed.links, "{harm}");
            }
            assert_ne!(netlink.ensure(&desired()).unwrap().made, vec![], "{harm}");
            settled(&mut netlink, &desired());
            let _ = monitor.drain();
        }
        ip("link del evio0-up");
        assert!(matches!(netlink.ensure(&desired()), Err(NetlinkError::NoTap(_))));
        drop(tap);
        let _again = Tap::open("evio0-up").unwrap();
        netlink.ensure(&desired()).unwrap();
        settled(&mut netlink, &desired());
    });
}

#[test]
fn a_neighbour_entry_with_another_mac_is_told_from_one_we_set() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let mut monitor = Monitor::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        let noticed = monitor.drain().unwrap();
        let bridge = netlink.bridge().unwrap();
        for Neighbour { address, mac } in desired().neighbours {
            let set = ChangedNeighbour { link: bridge, address, permanent: Some(mac) };
            assert!(noticed.neighbours.contains(&set), "{set:?} in {noticed:?}");
        }
        ip("neigh replace 10.9.0.2 lladdr 02:45:01:01:01:01 dev evio0 nud permanent");
        ip("neigh replace 10.9.0.3 lladdr 02:45:0a:09:00:03 dev evio0 nud reachable");
        assert!(readable(&monitor, 1000));
        let noticed = monitor.drain().unwrap().neighbours;
        let other = Some(Mac([0x02, 0x45, 1, 1, 1, 1]));
        assert!(noticed.contains(&ChangedNeighbour { link: bridge, address: [10, 9, 0, 2].into(), permanent: other }));
        assert!(noticed.contains(&ChangedNeighbour { link: bridge, address: [10, 9, 0, 3].into(), permanent: None }));
        let made = netlink.ensure(&desired()).unwrap().made;
        assert_eq!(summary(&made), "set 2 neighbours");
    });
}

#[test]
fn ports_of_others_come_back_to_a_bridge_that_was_deleted_and_stay_away_when_taken_off() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        for pod in ["pod0", "pod1"] {
            ip(&format!("link add {pod} type veth peer name {pod}-in"));
            ip(&format!("link set {pod} master evio0"));
        }
        settled(&mut netlink, &desired());
        ip("link set pod1 nomaster");
        settled(&mut netlink, &desired());
        ip("link del evio0");
        let made = summary(&netlink.ensure(&desired()).unwrap().made);
        assert!(made.starts_with("create bridge evio0, "), "{made}");
        assert!(made.contains("attach pod0 to the bridge") && !made.contains("pod1"), "{made}");
        assert!(ip_output("link show pod0").contains("master evio0"));
        settled(&mut netlink, &desired());
    });
}

#[test]
fn everything_can_be_removed_twice() {
    in_namespace(|| {
        let tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        drop(tap);
        netlink.remove("evio0", "evio0-up").unwrap();
        netlink.remove("evio0", "evio0-up").unwrap();
        assert!(!ip_output("link show").contains("evio0"));
    });
}

#[test]
fn a_link_of_another_kind_with_the_bridges_name_is_an_error() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let _other = Tap::open("evio0").unwrap();
        let error = Netlink::open().unwrap().ensure(&desired()).unwrap_err();
        assert!(matches!(error, NetlinkError::NotABridge(_)), "{error}");
    });
}

#[test]
fn a_bridge_of_somebody_else_is_taken_as_it_is_and_gets_no_ports() {
    in_namespace(|| {
        let _taps = ["evt0", "evt1"].map(|name| Tap::open_silent(name).unwrap());
        let taps = vec!["evt0".to_owned(), "evt1".to_owned()];
        let desired = Desired { taps, attach: false, ..desired() };
        let mut netlink = Netlink::open().unwrap();
        let error = netlink.ensure(&desired).unwrap_err();
        assert!(matches!(error, NetlinkError::NoBridge(_)), "{error}");
        ip("link add evio0 type veth peer name evio0-in");
        netlink.ensure(&desired).unwrap();
        settled(&mut netlink, &desired);
        for tap in ["evt0", "evt1"] {
            let link = ip_output(&format!("link show {tap}"));
            assert!(link.contains("mtu 1400") && link.contains(",UP") && link.contains("NO-CARRIER"), "{link}");
            assert!(!link.contains("master"), "{link}");
        }
        assert!(ip_output("addr show evio0").contains("10.9.0.1/24"));
        assert!(netlink.bridge().is_some());
        // A Linux bridge is somebody else's too then.
        ip("link del evio0");
        ip("link add evio0 type bridge stp_state 1");
        netlink.ensure(&desired).unwrap();
        assert!(ip_output("-d link show evio0").contains("stp_state 1"));
        assert!(!ip_output("link show evt0").contains("master"));
    });
}

#[test]
fn without_the_right_the_error_says_so() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        // SAFETY: the raw call changes this thread alone, which ends with the test.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0);
        let error = Netlink::open().unwrap().ensure(&desired()).unwrap_err();
        assert_eq!(error.to_string(), "not permitted to create bridge evio0: run as root or with CAP_NET_ADMIN");
    });
}

#[test]
fn candidates_are_the_addresses_others_could_reach() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        ip("link add lan0 type veth peer name lan1");
        ip("link add pod0 type veth peer name pod1");
        for link in ["lan0", "lan1", "pod0", "pod1"] {
            ip(&format!("link set {link} up"));
        }
        ip("link set pod0 master evio0");
        ip("addr add 192.168.1.5/24 dev lan0");
        ip("addr add 169.254.7.7/16 dev lan0");
        ip("addr add 2001:db8::5/64 dev lan0 nodad");
        ip("addr add 192.168.9.9/24 dev pod0");
        ip("link add down0 type bridge");
        ip("addr add 192.168.2.2/24 dev down0");
        let found = netlink.local_addresses(&["evio0", "evio0-up"], &[]).unwrap();
        let shown: Vec<String> =
            found.offered.iter().map(|one| format!("{}/{} {}", one.address, one.prefix, one.interface)).collect();
        assert_eq!(shown, ["192.168.1.5/24 lan0", "2001:db8::5/64 lan0"]);
        let found = netlink.local_addresses(&["evio0", "evio0-up"], &["lan0"]).unwrap();
        assert_eq!(found.offered, []);
        assert!(found.withheld.contains(&IpAddr::from([192, 168, 1, 5])));
    });
}

#[test]
fn the_kernel_tells_by_which_link_and_from_which_address_it_would_send() {
    in_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        for (link, v4, v6) in
            [("one0", "192.168.1.5/24", "2001:db8:1::5/64"), ("two0", "192.168.2.5/24", "2001:db8:2::5/64")]
        {
            ip(&format!("link add {link} type veth peer name {link}p"));
            for end in [link.to_owned(), format!("{link}p")] {
                ip(&format!("link set {end} up"));
            }
            ip(&format!("addr add {v4} dev {link}"));
            ip(&format!("addr add {v6} dev {link} nodad"));
        }
        ip("route add 203.0.113.0/24 via 192.168.2.1");
        let links = netlink.socket.links().unwrap();
        let index = |name: &str| links.iter().find(|link| link.name == name).unwrap().index;
        for (to, link, source) in [
            ("192.168.1.9", "one0", "192.168.1.5"),
            ("2001:db8:1::9", "one0", "2001:db8:1::5"),
            ("203.0.113.7", "two0", "192.168.2.5"),
            ("192.168.1.5", "lo", "192.168.1.5"),
        ] {
            let egress = netlink.egress(to.parse().unwrap()).unwrap();
            assert_eq!(egress, Egress { link: index(link), source: Some(source.parse().unwrap()) }, "{to}");
        }
        let error = netlink.egress("198.51.100.1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("cannot look up the route to 198.51.100.1"), "{error}");
    });
}

#[test]
fn links_upon_the_overlay_are_known_and_their_addresses_are_no_candidates() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&desired()).unwrap();
        ip("link add lan0 type veth peer name lan1");
        ip("addr add 192.168.1.5/24 dev lan0");
        ip("link add vx4 type vxlan id 1 local 10.9.0.1 remote 10.9.0.2 dstport 4789");
        ip("link add vxdev type vxlan id 2 group 239.1.1.1 dev evio0 dstport 4790");
        ip("link add vxlan0 type vxlan id 3 local 192.168.1.5 remote 192.168.1.6 dstport 4791");
        ip("link add macv0 link evio0 type macvlan");
        for (number, link) in ["lan0", "lan1", "vx4", "vxdev", "vxlan0", "macv0"].into_iter().enumerate() {
            ip(&format!("link set {link} up"));
            ip(&format!("addr add 192.168.{}.5/24 dev {link}", number + 20));
        }
        let found = netlink.local_addresses(&["evio0", "evio0-up"], &[]).unwrap();
        let numbers = found.inside.iter().map(ToString::to_string);
        let shown = ip_output("-o link show");
        let name = |number: String| {
            let line = shown.lines().find(|line| line.starts_with(&format!("{number}: "))).unwrap();
            line.split([' ', ':', '@']).nth(2).unwrap().to_owned()
        };
        let mut names: Vec<String> = numbers.map(name).collect();
        names.sort();
        assert_eq!(names, ["evio0", "evio0-up", "macv0", "vx4", "vxdev"]);
        let mut outside: Vec<&str> = found.offered.iter().map(|one| one.interface.as_str()).collect();
        outside.dedup();
        assert_eq!(outside, ["lan0", "lan1", "vxlan0"]);
        assert_eq!(
            found.vxlan,
            [(Network::Ipv4, 4789), (Network::Ipv4, 4790), (Network::Ipv4, 4791)],
            "where the tunnels receive"
        );
        assert!(
            found.all.contains(&"10.9.0.1".parse().unwrap()) && found.all.contains(&"192.168.20.5".parse().unwrap())
        );
        ip("link set vx4 down");
        ip("link add vx6 type vxlan id 4 local fd00::1 remote fd00::2 dstport 4792");
        ip("link add vxany type vxlan external dstport 8472");
        ip("link set vx6 up");
        ip("link set vxany up");
        let found = netlink.local_addresses(&["evio0", "evio0-up"], &[]).unwrap();
        let ports = [(Network::Ipv4, 4790), (Network::Ipv4, 4791), (Network::Ipv6, 4792)];
        let both = [(Network::Ipv4, 8472), (Network::Ipv6, 8472)];
        assert_eq!(found.vxlan, [&ports[..], &both].concat(), "of those that are up");
    });
}

#[test]
fn a_thousand_members_are_set_within_a_second() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let mut many = desired();
        many.neighbours = (0..1000u16)
            .flat_map(|n| {
                let [high, low] = n.to_be_bytes();
                let v6 = format!("fd09::1:{n:x}").parse().unwrap();
                Neighbour::of_member(
                    [IpAddr::from([10, 9, high + 1, low]), v6],
                    Mac::of_node([10, 9, high + 1, low].into()),
                )
            })
            .collect();
        let began = std::time::Instant::now();
        netlink.ensure(&many).unwrap();
        assert!(began.elapsed().as_millis() < 1000 * 3, "{:?}", began.elapsed());
        settled(&mut netlink, &many);
    });
}
