//! Kills before each system call a verb makes: between two of them nothing changes that others can see, so these are all the instants
//! there are.

mod support;

use std::os::unix::process::CommandExt;

use serde_json::{json, Value};
use support::{addresses, merged, plugin, Node, Pod};

/// A verb never makes more.
const CALLS_MAX: usize = 2_000;

/// Runs a verb up to its system call number `count` and kills it there; false when it has come to its end before.
fn cut(node: &Node, verb: &str, pod: Option<&Pod>, config: &Value, count: usize) -> bool {
    let path = pod.map(|pod| pod.ns.path()).unwrap_or_default();
    let id = pod.map(|pod| pod.id.as_str()).unwrap_or_default();
    let ifname = if pod.is_some() { "eth0" } else { "" };
    let variables = [("CNI_COMMAND", verb), ("CNI_CONTAINERID", id), ("CNI_NETNS", &path), ("CNI_IFNAME", ifname)];
    let mut child = node.spawn_with(&plugin(), &variables, config, |command| {
        // SAFETY: ptrace is async-signal-safe and takes no pointer here.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
    });
    let pid = i32::try_from(child.id()).unwrap();
    assert!(stops(pid), "it stops once it is the plugin");
    for _ in 0..count {
        // To the entry of a call, and to its end.
        if !(goes_on(pid) && goes_on(pid)) {
            // Taken by `stops` already; said for whoever reads that a child is waited for.
            let _ = child.wait();
            return false;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn goes_on(pid: i32) -> bool {
    // SAFETY: a child of this thread that has stopped; no pointer.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) }, 0, "{}", std::io::Error::last_os_error());
    stops(pid)
}

/// Waits; false when the process has ended.
fn stops(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::__WALL) }, pid);
    libc::WIFSTOPPED(status)
}

fn is_clean(node: &Node) -> bool {
    node.given().is_empty()
        && node.host_links().is_empty()
        && node.files("adding").is_empty()
        && node.files("attached").is_empty()
}

/// Does `once` for every number of system calls until the verb comes to its end; how many there were.
fn at_every_call(mut once: impl FnMut(usize) -> bool) -> usize {
    let calls = (0..CALLS_MAX).find(|count| !once(*count)).expect("it comes to its end");
    assert!(calls > 20, "only {calls} calls");
    calls
}

#[test]
fn an_add_cut_off_anywhere_is_repeated_deleted_or_swept() {
    for (mode, families) in [("routed", "46"), ("flat", "4")] {
        let node = Node::new(mode, families);
        let (config, pod) = (node.config("1.1.0"), node.pod());
        let calls = at_every_call(|count| {
            let went_on = cut(&node, "ADD", Some(&pod), &config, count);
            match count % 3 {
                0 => {
                    let again = node.call("ADD", &pod, &config);
                    // Cut off behind its last step, it stands.
                    if !again.ok {
                        assert_eq!(again.code(), 102);
                    }
                    assert_eq!(node.given().len(), families.len(), "{mode}, {count} calls");
                    node.call("DEL", &pod, &config).result();
                }
                1 => drop(node.call("DEL", &pod, &config).result()),
                _ => {
                    node.sweep(&config);
                    if !node.files("attached").is_empty() {
                        node.call("DEL", &pod, &config).result();
                    }
                }
            }
            assert!(is_clean(&node), "{mode}, {count} calls");
            went_on
        });
        eprintln!("ADD {mode}: cut off before each of {calls} system calls");
    }
}

#[test]
fn a_del_cut_off_anywhere_is_repeated_or_swept() {
    let node = Node::new("routed", "46");
    let (config, pod) = (node.config("1.1.0"), node.pod());
    let calls = at_every_call(|count| {
        node.call("ADD", &pod, &config).result();
        let went_on = cut(&node, "DEL", Some(&pod), &config, count);
        if count % 2 == 0 || !node.host_links().is_empty() {
            node.call("DEL", &pod, &config).result();
        } else {
            node.sweep(&config);
        }
        assert!(is_clean(&node), "{count} calls");
        went_on
    });
    eprintln!("DEL: cut off before each of {calls} system calls");
}

#[test]
fn a_gc_cut_off_anywhere_leaves_the_valid_ones_and_is_finished_by_a_sweep_or_another() {
    let node = Node::new("routed", "46");
    let config = node.config("1.1.0");
    let (stays, goes) = (node.pod(), node.pod());
    let valid = json!({ "cni.dev/valid-attachments": [{ "containerID": stays.id, "ifname": "eth0" }] });
    let gc = merged(config.clone(), &valid);
    let kept = addresses(&node.call("ADD", &stays, &config).result());
    let calls = at_every_call(|count| {
        node.call("ADD", &goes, &config).result();
        let went_on = cut(&node, "GC", None, &gc, count);
        if count % 2 == 0 || node.host_links().len() == 2 {
            node.call_network("GC", &gc).result();
        } else {
            node.sweep(&config);
        }
        let mut given = node.given();
        given.sort_by_key(|address| address.contains(':'));
        assert_eq!((given, node.host_links().len()), (kept.clone(), 1), "{count} calls");
        went_on
    });
    eprintln!("GC: cut off before each of {calls} system calls");
}
