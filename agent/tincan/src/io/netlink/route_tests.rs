use super::super::tap::Tap;
use super::super::testing::{in_namespace, ip, ip_output, readable};
use super::routes::metric_of;
use super::tests::{desired, settled};
use super::*;
use crate::prefix::Prefix;

fn route(to: &str, via: Option<&str>) -> Route {
    Route { to: Prefix::parse(to).unwrap(), via: via.map(|via| via.parse().unwrap()) }
}

/// Node 1 with a prefix of each family, and two others with theirs.
fn routed() -> Desired {
    let routes = vec![
        route("10.244.1.0/24", None),
        route("10.244.2.0/24", Some("10.9.0.2")),
        route("10.244.3.0/24", Some("10.9.0.3")),
        route("fd00:244:0:1::/64", None),
        route("fd00:244:0:2::/64", Some("fd09::2")),
        route("fd00:244:0:3::/64", Some("fe80::45:aff:fe09:3")),
    ];
    Desired { routes, ..desired() }
}

/// Ours, as `ip` shows them.
fn shown() -> Vec<String> {
    let all = ip_output("-4 route show proto 69") + &ip_output("-6 route show proto 69");
    all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A link with its other end.
fn wire(name: &str) {
    ip(&format!("link add {name} type veth peer name {name}-in"));
    ip(&format!("link set {name} up"));
    ip(&format!("link set {name}-in up"));
}

fn conflicts(netlink: &mut Netlink, desired: &Desired) -> Vec<(String, Clash, String)> {
    let found = netlink.ensure(desired).unwrap().conflicts;
    found.into_iter().map(|conflict| (conflict.prefix.to_string(), conflict.clash, conflict.route)).collect()
}

#[test]
fn routes_lead_to_members_by_the_bridge_and_own_prefixes_nowhere() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let changes = netlink.ensure(&routed()).unwrap();
        assert_eq!((changes.unset, changes.conflicts), (vec![], vec![]));
        settled(&mut netlink, &routed());
        let shown = shown();
        let metric = metric_of("evio0");
        assert_eq!(shown.len(), 6, "{shown:?}");
        for (beginning, parts) in [
            ("unreachable 10.244.1.0/24", vec![]),
            ("10.244.2.0/24 via 10.9.0.2 dev evio0", vec!["onlink"]),
            ("10.244.3.0/24 via 10.9.0.3 dev evio0", vec!["onlink"]),
            ("unreachable fd00:244:0:1::/64", vec![]),
            ("fd00:244:0:2::/64 via fd09::2 dev evio0", vec!["onlink"]),
            ("fd00:244:0:3::/64 via fe80::45:aff:fe09:3 dev evio0", vec!["onlink"]),
        ] {
            let line = shown.iter().find(|line| line.starts_with(beginning)).unwrap_or_else(|| panic!("{shown:?}"));
            assert!(line.contains(&format!("metric {metric}")), "{line}");
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        assert!(ip_output("route get 10.244.2.5").contains("via 10.9.0.2 dev evio0 src 10.9.0.1"));
        assert!(ip_output("-6 route get fd00:244:0:2::5").contains("via fd09::2 dev evio0"));
        assert_eq!(ip_output("route get 10.244.1.5"), "", "no such pod");
    });
}

#[test]
fn a_prefix_that_moves_or_goes_takes_its_route_along_and_others_stay() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&routed()).unwrap();
        wire("lan0");
        ip("route add 172.30.0.0/16 dev lan0 proto 69 metric 7");
        ip("route add 10.250.0.0/16 via 10.9.0.2 dev evio0");
        ip("route add unreachable 172.31.0.0/16 proto 69 metric 1163264001");
        let mut other = routed();
        other.routes = vec![
            route("10.244.1.0/24", Some("10.9.0.2")),
            route("10.244.2.0/24", Some("10.9.0.3")),
            route("fd00:244:0:1::/64", Some("fd09::2")),
            route("fd00:244:0:2::/64", None),
        ];
        let made = netlink.ensure(&other).unwrap().made;
        assert_eq!(summary(&made), "set 6 routes");
        settled(&mut netlink, &other);
        let shown = shown();
        assert!(shown.iter().any(|line| line.starts_with("10.244.2.0/24 via 10.9.0.3 ")), "{shown:?}");
        assert!(shown.iter().any(|line| line.starts_with("fd00:244:0:1::/64 via fd09::2 ")), "{shown:?}");
        assert!(!shown.iter().any(|line| line.contains("10.244.3.0") || line.contains("244:0:3::")), "{shown:?}");

        netlink.remove_routes("evio0").unwrap();
        netlink.remove_routes("evio0").unwrap();
        let left = ip_output("route show");
        for others in ["172.30.0.0/16", "10.250.0.0/16", "unreachable 172.31.0.0/16"] {
            assert!(left.contains(others), "{left}");
        }
        assert!(!left.contains("10.244.") && !ip_output("-6 route show").contains("244:0:"), "{left}");
    });
}

#[test]
fn what_somebody_does_to_our_routes_is_noticed_and_made_good_and_what_we_do_is_no_news() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let desired = routed();
        let mut monitor = Monitor::open().unwrap();
        netlink.ensure(&desired).unwrap();
        let bridge = netlink.bridge().unwrap();
        let news = |monitor: &mut Monitor| {
            let noticed = monitor.drain().unwrap();
            noticed.routes.iter().filter(|entry| matters(&desired, bridge, &entry.route, entry.gone)).count()
        };
        assert_eq!(news(&mut monitor), 0, "our own doing");
        wire("pod0");
        ip("route add 10.244.1.7/32 dev pod0");
        ip("route add default dev pod0");
        ip("route add 172.30.0.0/16 via 10.9.0.2 dev evio0");
        assert_eq!(news(&mut monitor), 0, "of no concern to us");
        let metric = metric_of("evio0");
        for harm in [
            "route del 10.244.2.0/24",
            "route del unreachable 10.244.1.0/24",
            "-6 route del fd00:244:0:2::/64",
            "-6 route del unreachable fd00:244:0:1::/64",
            &format!("route replace 10.244.2.0/24 via 10.9.0.3 dev evio0 proto 69 metric {metric}"),
            &format!("route add 10.244.9.0/24 via 10.9.0.3 dev evio0 proto 69 metric {metric}"),
            "route flush proto 69",
        ] {
            ip(harm);
            assert!(readable(&monitor, 1000), "{harm}");
            assert_ne!(news(&mut monitor), 0, "{harm}");
            assert_ne!(netlink.ensure(&desired).unwrap().made, vec![], "{harm}");
            settled(&mut netlink, &desired);
            assert_eq!(news(&mut monitor), 0, "our own doing after {harm}");
        }
        // A bridge that was down comes back with its routes.
        ip("link set evio0 down");
        netlink.ensure(&desired).unwrap();
        settled(&mut netlink, &desired);
        assert_eq!(shown().len(), 6);
    });
}

#[test]
fn routes_of_others_that_meet_ours_are_named_and_left_alone() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let desired = routed();
        netlink.ensure(&desired).unwrap();
        wire("lan0");
        ip("addr add 192.168.1.5/24 dev lan0");
        // A default route, pods of our own, a large network behind a router: all of that is as it should be.
        ip("route add default via 192.168.1.1");
        ip("route add 10.244.1.9/32 dev lan0");
        ip("route add 10.0.0.0/8 via 192.168.1.1");
        assert_eq!(conflicts(&mut netlink, &desired), []);
        let mut monitor = Monitor::open().unwrap();
        for (route, expected) in [
            (
                "10.244.2.0/24 via 192.168.1.1",
                ("10.244.2.0/24", Clash::Takes, "10.244.2.0/24 via 192.168.1.1 dev lan0"),
            ),
            ("10.244.3.128/25 dev lan0", ("10.244.3.0/24", Clash::Takes, "10.244.3.128/25 dev lan0")),
            ("blackhole 10.244.3.0/26", ("10.244.3.0/24", Clash::Takes, "blackhole 10.244.3.0/26")),
            ("10.9.0.64/26 dev lan0", ("10.9.0.0/24", Clash::Takes, "10.9.0.64/26 dev lan0")),
        ] {
            ip(&format!("route add {route}"));
            let noticed = monitor.drain().unwrap().routes;
            let bridge = netlink.bridge().unwrap();
            assert!(noticed.iter().any(|entry| matters(&desired, bridge, &entry.route, entry.gone)), "{route}");
            let (prefix, clash, text) = expected;
            assert_eq!(conflicts(&mut netlink, &desired), [(prefix.to_owned(), clash, text.to_owned())]);
            ip(&format!("route del {route}"));
            let noticed = monitor.drain().unwrap().routes;
            assert!(noticed.iter().any(|entry| matters(&desired, bridge, &entry.route, entry.gone)), "{route}");
        }
        ip("addr add 10.244.77.1/16 dev lan0");
        let hides = ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]
            .map(|prefix| (prefix.to_owned(), Clash::Hides, "10.244.0.0/16 dev lan0".to_owned()));
        assert_eq!(conflicts(&mut netlink, &desired), hides);
        ip("-6 addr add fd00:244:0:2::77/80 dev lan0 nodad");
        assert_eq!(conflicts(&mut netlink, &desired).len(), 4);
        assert!(ip_output("route show").contains("10.244.0.0/16 dev lan0"));
        assert_eq!(shown().len(), 6, "ours stand beside them");
    });
}

#[test]
fn pods_that_are_ports_of_the_bridge_are_not_unreachable() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.ensure(&routed()).unwrap();
        // As evio-cni does for a flat attachment.
        ip("addr add 10.244.1.1/16 dev evio0");
        let changes = netlink.ensure(&routed()).unwrap();
        assert_eq!(changes.conflicts, []);
        settled(&mut netlink, &routed());
        assert!(!shown().iter().any(|line| line.contains("unreachable 10.")), "{:?}", shown());
        assert!(ip_output("route get 10.244.1.5").contains("dev evio0 src 10.244.1.1"));
        assert!(ip_output("route get 10.244.2.5").contains("via 10.9.0.2 dev evio0"));
        ip("addr del 10.244.1.1/16 dev evio0");
        netlink.ensure(&routed()).unwrap();
        assert_eq!(shown().len(), 6);
    });
}

#[test]
fn a_route_that_cannot_be_set_costs_the_others_nothing() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let mut desired = routed();
        // By an address of our own there is no way.
        desired.routes.insert(0, route("10.243.0.0/24", Some("10.9.0.1")));
        let changes = netlink.ensure(&desired).unwrap();
        let [reason] = changes.unset.as_slice() else { panic!("{changes:?}") };
        assert!(reason.starts_with("cannot set route 10.243.0.0/24 via 10.9.0.1: "), "{reason}");
        assert_eq!(shown().len(), 6);
    });
}

#[test]
fn a_thousand_members_routes_are_set_within_a_second() {
    in_namespace(|| {
        let _tap = Tap::open("evio0-up").unwrap();
        let mut netlink = Netlink::open().unwrap();
        let of_one = |n: u16| {
            let [high, low] = n.to_be_bytes();
            let v4 = route(&format!("10.{}.{low}.0/24", 64 + high), Some(&format!("10.9.{}.{low}", high + 1)));
            let v6 = route(&format!("fd00:244:0:{n:x}::/64"), Some(&format!("fd09::1:{n:x}")));
            [v4, v6]
        };
        let many = Desired { routes: (0..1000).flat_map(of_one).collect(), ..desired() };
        let began = std::time::Instant::now();
        netlink.ensure(&many).unwrap();
        assert!(began.elapsed().as_millis() < 1000 * 3, "{:?}", began.elapsed());
        settled(&mut netlink, &many);
        assert_eq!(shown().len(), 2000);
    });
}
