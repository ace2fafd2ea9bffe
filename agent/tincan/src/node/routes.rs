//! Which routes the members' certificates make, and what is said when others' routes meet them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::problems::Problem;
use super::Node;
use crate::io::netlink::{Changes, Clash, Conflict, Route};
use crate::prefix::Prefix;
use crate::wire::Certificate;

/// The prefixes routed behind a node.
pub(super) fn routed(certificate: &Certificate) -> impl Iterator<Item = Prefix> + '_ {
    let v4 = certificate.routed_ipv4.iter().map(|&(ip, length)| Prefix::new(ip.into(), length));
    let v6 = certificate.routed_ipv6.iter().map(|&(ip, length)| Prefix::new(ip.into(), length));
    // One that covers everything would take the way to the tunnels' other ends.
    v4.chain(v6).filter(|prefix| prefix.length() > 0)
}

/// By which address of a member its prefixes are reached. None: an IPv4 prefix of a member without an IPv4 address.
fn gateway(certificate: &Certificate, prefix: &Prefix) -> Option<IpAddr> {
    if prefix.is_ipv4() {
        return certificate.ipv4.first().map(|&(ip, _)| ip.into());
    }
    let first = certificate.ipv6.first().map(|&(ip, _)| ip);
    Some(first.unwrap_or_else(|| certificate.mac().link_local()).into())
}

/// In the order of their prefixes. Of two members with one prefix the newer certificate counts, as with addresses; what is within our
/// own is ours. What is within `excluded` gets no route, nor is it unreachable: others do that here (kube-proxy, for Services).
fn routes<'a>(own: &'a Certificate, members: impl Iterator<Item = &'a Certificate>, excluded: &[Prefix]) -> Vec<Route> {
    let left = |prefix: &Prefix| excluded.iter().any(|other| other.covers(prefix));
    let mut found: BTreeMap<Prefix, (u64, Option<IpAddr>)> = BTreeMap::new();
    for certificate in members {
        for prefix in routed(certificate) {
            let Some(via) = gateway(certificate, &prefix) else { continue };
            let ours = routed(own).any(|ours| ours.covers(&prefix));
            let newer = found.get(&prefix).is_none_or(|&(serial, _)| serial < certificate.serial);
            if newer && !ours && !left(&prefix) {
                found.insert(prefix, (certificate.serial, Some(via)));
            }
        }
    }
    found.extend(routed(own).filter(|prefix| !left(prefix)).map(|prefix| (prefix, (own.serial, None))));
    found.into_iter().map(|(to, (_, via))| Route { to, via }).collect()
}

impl Node {
    pub(super) fn routes(&self) -> Vec<Route> {
        let members = self.sessions.members().map(|member| &*member.certificate);
        routes(self.sessions.certificate(), members, &self.exclude_routes)
    }

    /// What became of the routes at the last look.
    pub(super) fn routes_are(&mut self, changes: &Changes) {
        let conflicts = changes.conflicts.iter().map(|conflict| {
            let text = conflict_text(conflict, &self.whose(&conflict.prefix));
            Problem { kind: "address-conflict", text }
        });
        let unset = changes.unset.iter().map(|text| Problem { kind: "route", text: text.clone() });
        self.route_problems = conflicts.chain(unset).collect();
        self.tell_problems();
    }

    fn whose(&self, prefix: &Prefix) -> String {
        let own = self.sessions.certificate();
        if routed(own).any(|routed| routed == *prefix) {
            return "this node".to_owned();
        }
        let mut members =
            self.sessions.members().filter(|member| routed(&member.certificate).any(|one| one == *prefix));
        members.next().map_or("the overlay".to_owned(), |member| format!("node {}", member.certificate.name))
    }
}

fn conflict_text(conflict: &Conflict, whose: &str) -> String {
    let Conflict { prefix, route, .. } = conflict;
    match conflict.clash {
        Clash::Takes => format!(
            "{prefix} of {whose} meets the route {route} of this machine, which takes its packets: take that route away, or use other addresses in the overlay"
        ),
        Clash::Hides => format!(
            "{prefix} of {whose} is part of the network {route} of this machine, whose hosts with such addresses are not reached any more: use other addresses in one of the two"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::wire::{Mac, OverlayId};

    fn node(number: u8, routed_ipv4: &[&str], routed_ipv6: &[&str]) -> Certificate {
        let v4 = |text: &&str| match Prefix::parse(text).map(|prefix| (prefix.address(), prefix.length())) {
            Some((IpAddr::V4(ip), length)) => (ip, length),
            _ => panic!("{text}"),
        };
        let v6 = |text: &&str| match Prefix::parse(text).map(|prefix| (prefix.address(), prefix.length())) {
            Some((IpAddr::V6(ip), length)) => (ip, length),
            _ => panic!("{text}"),
        };
        Certificate {
            overlay: OverlayId([0; 16]),
            identity_key: [number; 32],
            session_key: [number; 32],
            name: format!("node{number}"),
            ipv4: vec![(Ipv4Addr::new(10, 9, 0, number), 24)],
            ipv6: vec![(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, number.into()), 64)],
            routed_ipv4: routed_ipv4.iter().map(v4).collect(),
            routed_ipv6: routed_ipv6.iter().map(v6).collect(),
            macs: vec![],
            serial: u64::from(number),
            not_before: 0,
            not_after: 0,
        }
    }

    fn texts(own: &Certificate, members: &[Certificate]) -> Vec<String> {
        texts_without(own, members, &[])
    }

    fn texts_without(own: &Certificate, members: &[Certificate], excluded: &[&str]) -> Vec<String> {
        let text = |route: &Route| match route.via {
            Some(via) => format!("{} via {via}", route.to),
            None => format!("unreachable {}", route.to),
        };
        let excluded: Vec<Prefix> = excluded.iter().filter_map(|one| Prefix::parse(one)).collect();
        routes(own, members.iter(), &excluded).iter().map(text).collect()
    }

    #[test]
    fn what_is_excluded_is_left_to_others_here_a_members_and_our_own() {
        let own = node(1, &["10.96.0.0/12", "10.244.1.0/24"], &[]);
        let others = [node(2, &["10.244.2.0/24", "10.96.0.0/12", "10.97.0.0/16"], &["fd00:96::/112"])];
        let left = texts_without(&own, &others, &["10.96.0.0/12", "fd00:96::/108"]);
        assert_eq!(left, ["unreachable 10.244.1.0/24", "10.244.2.0/24 via 10.9.0.2"]);
        // What is larger than that is not all of it.
        let larger = texts_without(&node(1, &[], &[]), &others, &["10.96.0.0/13"]);
        assert!(larger.contains(&"10.96.0.0/12 via 10.9.0.2".to_owned()), "{larger:?}");
        assert!(!larger.contains(&"10.97.0.0/16 via 10.9.0.2".to_owned()), "{larger:?}");
    }

    #[test]
    fn prefixes_lead_to_their_members_and_our_own_to_nobody() {
        let own = node(1, &["10.244.1.0/24"], &["fd00:244:0:1::/64"]);
        let others = [node(2, &["10.244.2.0/24", "192.168.7.0/24"], &["fd00:244:0:2::/64"]), node(3, &[], &[])];
        assert_eq!(
            texts(&own, &others),
            [
                "unreachable 10.244.1.0/24",
                "10.244.2.0/24 via 10.9.0.2",
                "192.168.7.0/24 via 10.9.0.2",
                "unreachable fd00:244:0:1::/64",
                "fd00:244:0:2::/64 via fd09::2",
            ]
        );
    }

    #[test]
    fn a_member_without_an_address_of_the_family_is_reached_by_its_link_local_one_or_not_at_all() {
        let own = node(1, &[], &[]);
        let v4_only = Certificate { ipv6: vec![], ..node(2, &["10.244.2.0/24"], &["fd00:244:0:2::/64"]) };
        let link_local = Mac::of_node([10, 9, 0, 2].into()).link_local();
        assert_eq!(
            texts(&own, &[v4_only]),
            ["10.244.2.0/24 via 10.9.0.2".to_owned(), format!("fd00:244:0:2::/64 via {link_local}")]
        );
        let v6_only = Certificate { ipv4: vec![], ..node(3, &["10.244.3.0/24"], &["fd00:244:0:3::/64"]) };
        assert_eq!(texts(&own, &[v6_only]), ["fd00:244:0:3::/64 via fd09::3"]);
    }

    #[test]
    fn of_two_with_one_prefix_the_newer_certificate_counts_and_nobody_takes_ours_or_everything() {
        let own = node(1, &["10.244.1.0/24"], &[]);
        let grasping = node(4, &["10.244.1.128/25", "10.244.1.0/24", "0.0.0.0/0"], &["::/0"]);
        let (older, newer) = (node(2, &["10.244.2.0/24"], &[]), node(3, &["10.244.2.0/24"], &[]));
        let expected = ["unreachable 10.244.1.0/24", "10.244.2.0/24 via 10.9.0.3"];
        assert_eq!(texts(&own, &[older.clone(), newer.clone(), grasping.clone()]), expected);
        assert_eq!(texts(&own, &[grasping, newer, older]), expected);
    }
}
