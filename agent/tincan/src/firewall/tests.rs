use super::*;

fn rules(pods: &[&str], overlay: &[&str]) -> Firewall {
    let prefixes = |texts: &[&str]| texts.iter().map(|text| Prefix::parse(text).unwrap()).collect();
    Firewall { pod_cidrs: prefixes(pods), overlay_cidrs: prefixes(overlay), host_interface_prefix: "evc".to_owned() }
}

const EXPECTED: &str = "\
table inet evio
delete table inet evio
table inet evio {
	set pods4 {
		type ipv4_addr
		flags interval
		elements = { 10.244.1.0/24 }
	}

	set overlay4 {
		type ipv4_addr
		flags interval
		elements = { 10.45.0.0/16, 10.244.0.0/16 }
	}

	set pods6 {
		type ipv6_addr
		flags interval
		elements = { fd00:244:0:1::/64 }
	}

	set overlay6 {
		type ipv6_addr
		flags interval
		elements = { fd00:244:0:1::/64, fd45::/64 }
	}

	chain from-pods {
		type filter hook prerouting priority raw; policy accept;
		iifname \"evc*\" ip6 saddr { ::, fe80::/10 } accept
		iifname \"evc*\" fib saddr . iif oif missing drop
	}

	chain to-outside {
		type nat hook postrouting priority srcnat; policy accept;
		oifname \"evio0\" return
		ip saddr @pods4 ip daddr != @overlay4 masquerade
		ip6 saddr @pods6 ip6 daddr != @overlay6 masquerade
	}
}
";

#[test]
fn the_table_is_one_transaction_with_own_prefixes_inside_and_no_overlaps() {
    let rules = rules(
        &["10.244.1.0/24", "fd00:244:0:1::/64"],
        &["10.244.0.0/16", "10.45.0.0/16", "fd45::/64", "10.244.7.0/24", "10.45.0.0/16"],
    );
    assert_eq!(ruleset(&rules, "evio0"), EXPECTED);
}

#[test]
fn a_family_without_prefixes_has_an_empty_set() {
    let text = ruleset(&rules(&["10.244.1.0/24"], &[]), "evio0");
    assert!(text.contains("set pods6 {\n\t\ttype ipv6_addr\n\t\tflags interval\n\t}"), "{text}");
}

#[test]
fn names_that_mean_something_to_nft_are_not_plain() {
    assert!(["evio0", "br-evio_0.1", "a@b"].iter().all(|name| is_plain(name)));
    assert!(!["", "evio*", "e\"", "e\\", "e:0", "é"].iter().any(|name| is_plain(name)));
}

/// Runs what is due and answers it; the jobs in order.
fn settle(keeper: &mut Keeper, generation: Option<u32>, listing: Result<&str, &str>, now: Micros) -> Vec<Job> {
    let mut jobs = vec![];
    while let Some(job) = keeper.next(|| generation, now) {
        let result = if job == Job::List { listing } else { Ok("") };
        keeper.finished(result.map(str::to_owned).map_err(str::to_owned), now);
        jobs.push(job);
        assert!(jobs.len() < 10, "{jobs:?}");
    }
    jobs
}

fn put(text: &str) -> Job {
    Job::Put(text.to_owned())
}

#[test]
fn it_is_put_once_and_looked_at_only_when_the_ruleset_changed() {
    let mut keeper = Keeper::default();
    assert_eq!(keeper.deadline(), None);
    keeper.want(Some("a".into()), 5);
    assert_eq!(settle(&mut keeper, Some(7), Ok("listed"), 5), [put("a"), Job::List]);
    keeper.want(Some("a".into()), 6);
    assert_eq!(keeper.deadline(), Some(5 + LOOK));
    assert_eq!(settle(&mut keeper, Some(7), Err("not asked"), 5 + LOOK), []);
    assert_eq!(settle(&mut keeper, Some(8), Ok("listed"), 5 + 2 * LOOK), [Job::List]);
    assert_eq!(settle(&mut keeper, Some(8), Err("not asked"), 5 + 3 * LOOK), []);
    keeper.want(Some("b".into()), 6 + 3 * LOOK);
    assert_eq!(settle(&mut keeper, Some(9), Ok("other"), 6 + 3 * LOOK), [put("b"), Job::List]);
}

#[test]
fn without_a_generation_it_is_looked_at_each_time() {
    let mut keeper = Keeper::default();
    keeper.want(Some("a".into()), 0);
    settle(&mut keeper, None, Ok("listed"), 0);
    assert_eq!(settle(&mut keeper, None, Ok("listed"), LOOK), [Job::List]);
    assert_eq!(settle(&mut keeper, None, Ok("listed"), 2 * LOOK), [Job::List]);
}

#[test]
fn what_somebody_flushed_or_changed_is_put_again_and_that_is_said_once() {
    for listing in [Err("No such file or directory"), Ok("half of it")] {
        let mut keeper = Keeper::default();
        keeper.want(Some("a".into()), 0);
        settle(&mut keeper, Some(1), Ok("listed"), 0);
        assert_eq!(keeper.next(|| Some(2), LOOK), Some(Job::List));
        assert!(!keeper.finished(listing.map(str::to_owned).map_err(str::to_owned), LOOK));
        assert_eq!(keeper.next(|| Some(2), LOOK), Some(put("a")));
        assert!(keeper.finished(Ok(String::new()), LOOK));
        assert_eq!(settle(&mut keeper, Some(3), Ok("listed"), LOOK), [Job::List]);
        assert_eq!(settle(&mut keeper, Some(3), Ok("listed"), 2 * LOOK), []);
    }
}

#[test]
fn what_is_refused_is_a_problem_until_it_is_taken() {
    let mut keeper = Keeper::default();
    keeper.want(Some("a".into()), 0);
    assert_eq!(keeper.next(|| None, 0), Some(put("a")));
    assert_eq!(keeper.next(|| None, 0), None, "one at a time");
    keeper.finished(Err("no nft".into()), 0);
    assert_eq!((keeper.problem(), keeper.has_table()), (Some("no nft"), false));
    assert_eq!(keeper.next(|| None, RETRY - 1), None);
    assert_eq!(settle(&mut keeper, None, Ok("listed"), RETRY), [put("a"), Job::List]);
    assert_eq!((keeper.problem(), keeper.has_table()), (None, true));
}

#[test]
fn what_is_no_more_wanted_is_removed_once_and_only_if_it_was_put() {
    let mut keeper = Keeper::default();
    keeper.want(None, 0);
    assert_eq!(settle(&mut keeper, None, Ok(""), 0), []);
    keeper.want(Some("a".into()), 0);
    settle(&mut keeper, None, Ok("listed"), 0);
    keeper.want(None, 1);
    assert_eq!(settle(&mut keeper, None, Ok(""), 1), [Job::Remove]);
    assert_eq!((keeper.deadline(), keeper.has_table()), (None, false));
}

#[test]
fn an_order_that_comes_while_the_one_before_is_carried_out_is_next() {
    let mut keeper = Keeper::default();
    keeper.want(Some("a".into()), 0);
    assert_eq!(keeper.next(|| None, 0), Some(put("a")));
    keeper.want(Some("b".into()), 1);
    keeper.finished(Ok(String::new()), 2);
    assert_eq!(settle(&mut keeper, None, Ok("listed"), 2), [put("b"), Job::List]);
}
