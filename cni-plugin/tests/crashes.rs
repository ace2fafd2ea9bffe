//! Kills, reboots and crowds: no address leaks, none has two owners.

mod support;

use std::collections::BTreeSet;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{json, Value};
use support::{addresses, answer, merged, must, wait, Dice, Node, Pod};

#[test]
fn a_hundred_adds_at_once_all_succeed_with_addresses_of_their_own() {
    let node = Node::new("routed", "46");
    let config = node.config("1.0.0");
    let pods: Vec<Pod> = (0..100).map(|_| node.pod()).collect();
    let started = Instant::now();
    let children: Vec<Child> = pods.iter().map(|pod| node.start("ADD", pod, &config, &[])).collect();
    let results: Vec<Value> = children.into_iter().map(|child| answer(child).result()).collect();
    eprintln!("100 ADDs at once: {:?}", started.elapsed());
    let given: BTreeSet<String> = results.iter().flat_map(addresses).collect();
    assert_eq!((given.len(), node.given().len(), node.host_links().len()), (200, 200, 100));
    let children: Vec<Child> = pods.iter().map(|pod| node.start("DEL", pod, &config, &[])).collect();
    for child in children {
        answer(child).result();
    }
    assert!(node.given().is_empty() && node.host_links().is_empty());
}

#[test]
fn after_a_reboot_old_reservations_count_no_more() {
    let node = Node::new("routed", "46");
    let config = node.config_with(&json!({ "subnets": ["10.244.3.0/29", "fd00:10:244:3::/64"] }));
    let old: Vec<Pod> = (0..5).map(|_| node.pod()).collect();
    for pod in &old {
        node.call("ADD", pod, &config).result();
    }
    let new: Vec<Pod> = (0..5).map(|_| node.pod()).collect();
    assert_eq!(node.call("ADD", &new[0], &config).code(), 11);
    for pod in &old {
        must(&format!("ip netns del {}", pod.ns.name));
    }
    node.reboot("boot-2");
    node.call_network("STATUS", &config).result();
    let given: BTreeSet<String> =
        new.iter().flat_map(|pod| addresses(&node.call("ADD", pod, &config).result())).collect();
    assert_eq!(given.len(), 10);
    // The kubelet removes what it knew before the reboot: that takes nothing from those who have the addresses now.
    for pod in &old {
        node.call_with("DEL", pod, &config, &[("CNI_NETNS", "")]).result();
    }
    assert_eq!(node.given().len(), 10);
    for pod in &new {
        let check = merged(config.clone(), &json!({ "runtimeConfig": {} }));
        node.call("DEL", pod, &check).result();
    }
    assert!(node.given().is_empty());
}

/// So many pods, and then the power goes: their namespaces with it, and no DEL comes.
fn pods_of_an_earlier_boot(node: &Node, config: &Value, count: usize) {
    let pods: Vec<Pod> = (0..count).map(|_| node.pod()).collect();
    for pod in &pods {
        node.call("ADD", pod, config).result();
    }
    drop(pods);
    wait("links to go with the namespaces", 20, || node.host_links().is_empty().then_some(()));
    assert_eq!(node.given().len(), 2 * count);
    node.reboot("boot-2");
}

#[test]
fn the_first_add_of_a_boot_gives_back_what_earlier_ones_held() {
    let node = Node::new("routed", "46");
    let config = node.config("1.0.0");
    pods_of_an_earlier_boot(&node, &config, 3);
    let pods: Vec<Pod> = (0..2).map(|_| node.pod()).collect();
    let mut given = addresses(&node.call("ADD", &pods[0], &config).result());
    given.sort();
    assert_eq!((node.given(), node.files("attached").len()), (given.clone(), 1));
    given.extend(addresses(&node.call("ADD", &pods[1], &config).result()));
    given.sort();
    assert_eq!(node.given(), given);
    assert!(pods[0].ns.pings(&given[1]), "{given:?}");
    for pod in &pods {
        node.call("DEL", pod, &config).result();
    }
    assert!(node.given().is_empty());
}

#[test]
fn adds_at_once_after_a_reboot_give_back_only_what_is_old() {
    let node = Node::new("routed", "46");
    let config = node.config("1.0.0");
    pods_of_an_earlier_boot(&node, &config, 20);
    let pods: Vec<Pod> = (0..20).map(|_| node.pod()).collect();
    let children: Vec<Child> = pods.iter().map(|pod| node.start("ADD", pod, &config, &[])).collect();
    let mut given: Vec<String> = children.into_iter().flat_map(|child| addresses(&answer(child).result())).collect();
    given.sort();
    assert_eq!((node.given(), node.host_links().len()), (given, 20));
}

#[test]
fn adds_that_are_killed_while_they_give_back_leave_it_to_the_next() {
    let node = Node::new("routed", "46");
    let config = node.config("1.0.0");
    let mut dice = Dice(seed());
    let usual = usual(&node, &config);
    pods_of_an_earlier_boot(&node, &config, 30);
    for _ in 0..15 {
        let pod = node.pod();
        kill_in_the_middle(node.start("ADD", &pod, &config, &[]), &mut dice, usual);
        node.call("DEL", &pod, &config).result();
    }
    let last = node.pod();
    let mut given = addresses(&node.call("ADD", &last, &config).result());
    given.sort();
    assert_eq!((node.given(), node.host_links().len()), (given, 1));
}

#[test]
fn gc_takes_away_everything_but_the_valid_attachments() {
    let node = Node::new("flat", "46");
    let config = node.config("1.1.0");
    let pods: Vec<Pod> = (0..4).map(|_| node.pod()).collect();
    for pod in &pods {
        node.call("ADD", pod, &config).result();
    }
    // An end of a pair whose record was lost, and links that are somebody else's.
    node.ns.ip("link add evc0123456789a type veth peer name lost0");
    node.ns.ip("link add evc0123456789b type veth peer name other0");
    node.ns.ip("link set evc0123456789b alias \"evio-cni:another pod\"");
    let valid: Vec<Value> = pods[..2].iter().map(|pod| json!({ "containerID": pod.id, "ifname": "eth0" })).collect();
    node.call_network("GC", &config).result();
    assert_eq!((node.given().len(), node.host_links().len()), (8, 5), "a missing list is no empty one");
    node.call_network("GC", &merged(config.clone(), &json!({ "cni.dev/valid-attachments": valid }))).result();
    assert_eq!((node.given().len(), node.files("attached").len()), (4, 2));
    assert_eq!(node.host_links().len(), 3, "two valid ones and another network's");
    assert!(pods[0].ns.pings("10.244.3.3") && !pods[2].ns.ip("-br link show").contains("eth0"));
    node.call_network("GC", &merged(config, &json!({ "cni.dev/valid-attachments": [] }))).result();
    assert!(node.given().is_empty() && node.host_links().len() == 1);
}

#[test]
fn a_sweep_counts_and_leaves_what_lives() {
    let node = Node::new("routed", "46");
    let config = node.config("1.0.0");
    let pods: Vec<Pod> = (0..3).map(|_| node.pod()).collect();
    for pod in &pods {
        node.call("ADD", pod, &config).result();
    }
    must(&format!("ip netns del {}", pods[0].ns.name));
    wait("link to go", 10, || (node.host_links().len() == 2).then_some(()));
    let counts = node.sweep(&config);
    assert_eq!(
        (&counts["used"], &counts["free"], &counts["reclaimed"]),
        (&json!(2), &json!(251), &json!(1)),
        "{counts}"
    );
    assert_eq!(node.sweep(&config)["reclaimed"], 0);
    assert!(pods[1].ns.pings(&addresses(&check_of(&node, &pods[2]))[0]));
}

/// The addresses of a pod that lives, in the form of a result.
fn check_of(node: &Node, pod: &Pod) -> Value {
    let record = node.files("attached").into_iter().map(|key| {
        let text = std::fs::read_to_string(node.dir.join("data/evio/attached").join(key)).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    let found = record.into_iter().find(|record| record["containerID"] == pod.id.as_str()).unwrap();
    let ips: Vec<Value> =
        found["addresses"].as_array().unwrap().iter().map(|address| json!({ "address": address })).collect();
    json!({ "ips": ips })
}

/// Lets a call run for a random part of what such a call takes, then kills it.
fn kill_in_the_middle(mut child: Child, dice: &mut Dice, usual: Duration) {
    let micros = u64::try_from(usual.as_micros()).unwrap();
    std::thread::sleep(Duration::from_micros(dice.below(micros * 5 / 4)));
    let _ = child.kill();
    child.wait().unwrap();
}

/// Kills ADD, DEL and GC at random instants, and repeats some of them as a runtime may. What must hold is in [`settle`].
fn kills(count: u64, seed: u64) {
    let node = Node::new("routed", "46");
    let config = node.config("1.1.0");
    let mut dice = Dice(seed);
    let usual = usual(&node, &config);
    let mut alive: Vec<(Pod, Vec<String>)> = vec![];
    let mut gone: Vec<Pod> = vec![];
    for _ in 0..count {
        match dice.below(5) {
            0 | 1 => {
                let pod = node.pod();
                kill_in_the_middle(node.start("ADD", &pod, &config, &[]), &mut dice, usual);
                match dice.below(3) {
                    // One that had come to its end in spite of the kill stands: DEL it first, as the specification has it.
                    0 => {
                        let said = node.call("ADD", &pod, &config);
                        let result = if said.ok {
                            said.said
                        } else {
                            assert_eq!(said.code(), 102);
                            node.call("DEL", &pod, &config).result();
                            node.call("ADD", &pod, &config).result()
                        };
                        alive.push((pod, addresses(&result)));
                    }
                    1 => {
                        node.call("DEL", &pod, &config).result();
                    }
                    _ => gone.push(pod),
                }
            }
            2 => {
                let pod = node.pod();
                let given = addresses(&node.call("ADD", &pod, &config).result());
                alive.push((pod, given));
            }
            3 if !alive.is_empty() => {
                let at = usize::try_from(dice.below(alive.len() as u64)).unwrap();
                let (pod, _) = alive.swap_remove(at);
                kill_in_the_middle(node.start("DEL", &pod, &config, &[]), &mut dice, usual);
                if dice.below(2) == 0 {
                    node.call("DEL", &pod, &config).result();
                } else {
                    gone.push(pod);
                }
            }
            _ => {
                let valid: Vec<Value> =
                    alive.iter().map(|(pod, _)| json!({ "containerID": pod.id, "ifname": "eth0" })).collect();
                let gc = merged(config.clone(), &json!({ "cni.dev/valid-attachments": valid }));
                kill_in_the_middle(node.start_network("GC", &gc), &mut dice, usual);
            }
        }
        let given: Vec<&String> = alive.iter().flat_map(|(_, given)| given).collect();
        let owners: BTreeSet<&String> = given.iter().copied().collect();
        assert_eq!(owners.len(), given.len(), "seed {seed}: an address has two owners: {given:?}");
        while alive.len() > 60 {
            gone.push(alive.swap_remove(0).0);
        }
        if gone.len() > 40 {
            gone.clear();
        }
    }
    // The runtime has forgotten these; their namespaces go with them.
    gone.clear();
    settle(&node, &config, &alive, seed);
}

/// One sweep, and the store, the links and the pods agree.
fn settle(node: &Node, config: &Value, alive: &[(Pod, Vec<String>)], seed: u64) {
    let finished = |link: &String| node.files("attached").iter().any(|key| link.ends_with(&key[..11]));
    wait("links of removed namespaces to go", 20, || {
        let links: BTreeSet<String> = node.host_links().into_iter().filter(finished).collect();
        (links.len() <= alive.len()).then_some(())
    });
    let swept = node.sweep(config);
    let mut given: Vec<String> = alive.iter().flat_map(|(_, given)| given.clone()).collect();
    given.sort();
    assert_eq!(node.given(), given, "seed {seed}: leaked or lost addresses");
    assert_eq!(node.host_links().len(), alive.len(), "seed {seed}: leaked links");
    assert_eq!((node.files("attached").len(), node.files("adding").len()), (alive.len(), 0), "seed {seed}");
    assert!(!node.files("").contains(&"new".to_owned()));
    for (pod, given) in alive {
        assert!(pod.ns.ip("addr show eth0").contains(&given[0]), "seed {seed}");
    }
    eprintln!(
        "seed {seed}: {} alive, {} reclaimed by the sweep, 0 leaked, 0 doubly assigned",
        alive.len(),
        swept["reclaimed"]
    );
}

/// How long one ADD takes here and now.
fn usual(node: &Node, config: &Value) -> Duration {
    let pod = node.pod();
    let started = Instant::now();
    node.call("ADD", &pod, config).result();
    let took = started.elapsed();
    node.call("DEL", &pod, config).result();
    took
}

fn seed() -> u64 {
    let named = std::env::var("EVIO_CNI_SEED").ok().and_then(|text| text.parse().ok());
    named.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1)
}

#[test]
fn kills_at_random_instants_leak_nothing_after_one_sweep() {
    let count = std::env::var("EVIO_CNI_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    kills(count, seed());
}

#[test]
#[ignore = "takes a minute or two"]
fn a_thousand_kills_leak_nothing_after_one_sweep() {
    kills(1000, seed());
}
