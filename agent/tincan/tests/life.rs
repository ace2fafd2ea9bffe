//! Starts, ends and absences: what a node keeps through them.

mod support;

use std::io::{BufRead, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::control::Control;
use support::overlay::Overlay;
use support::{need_root, sh, wait, Net, Tincan};

const ADDRESSES: [&str; 2] = ["192.168.7.1", "192.168.7.2"];

fn link_exists(ns: &str, link: &str) -> bool {
    sh(&format!("ip -n {ns} link show {link}")).status.success()
}

/// What an agent does after it found an unconfigured tincan.
fn set_up(node: &mut Tincan, peer: &Tincan, overlay: &Overlay, address: &str) {
    let port = node.configure(overlay, &[])["udpPort"].as_u64().unwrap();
    let _ = port;
    node.add_members(&[&peer.papers]);
    node.edge_flows(&[&peer.papers]);
    let peer_port = tincan::node::derived_port(tincan::wire::Label(peer.papers.label));
    let port = node.tunnel(&peer.papers, &[format!("{address}:{peer_port}")]);
    node.core_flow(peer.papers.label, port);
}

fn pair(net: &mut Net) -> (Tincan, Tincan, Overlay) {
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    let [ip_a, ip_b] = ADDRESSES.map(|ip| format!("{ip}/24"));
    net.join((&ns_a, "wire", &ip_a), (&ns_b, "wire", &ip_b));
    let overlay = Overlay::new();
    let (mut a, mut b) = (Tincan::start(&ns_a, overlay.node(1)), Tincan::start(&ns_b, overlay.node(2)));
    set_up(&mut a, &b, &overlay, ADDRESSES[1]);
    set_up(&mut b, &a, &overlay, ADDRESSES[0]);
    a.wait_path(&b.papers, "direct", 3);
    b.wait_path(&a.papers, "direct", 3);
    (a, b, overlay)
}

#[test]
fn a_killed_tincan_comes_back_within_three_seconds_of_its_agent_s_orders() {
    need_root();
    let mut net = Net::new();
    let (a, mut b, overlay) = pair(&mut net);
    a.must_ping("10.69.0.2", "-c 2 -i 0.05 -W 1");
    b.kill_and_restart();
    assert!(link_exists(&b.ns, "evio-tap"), "the tap outlives its process");
    let began = Instant::now();
    set_up(&mut b, &a, &overlay, ADDRESSES[0]);
    wait("ping", 3, || a.ping("10.69.0.2", "-c 1 -W 1").status.success().then_some(()));
    eprintln!("back after {:?}", began.elapsed());
}

#[test]
fn with_the_agent_away_frames_go_on_and_a_new_agent_finds_everything() {
    need_root();
    let mut net = Net::new();
    let (mut a, b, overlay) = pair(&mut net);
    a.switch = None;
    a.control = Control::connect(&a.run_dir.join("control.sock"));
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
    let hello = a.control.call("hello", json!({ "client": "another" })).unwrap();
    assert_eq!(hello["configured"]["nodeId"], a.papers.node_id.to_string());
    assert_eq!(hello["configured"]["bridge"], "evio0");
    let tunnel = a.tunnel_to(&b.papers);
    assert_eq!((&tunnel["note"], &tunnel["path"]), (&json!("test"), &json!("direct")));
    // The same orders again change nothing.
    a.configure(&overlay, &[]);
    a.add_members(&[&b.papers]);
    assert_eq!(u64::from(a.tunnel(&b.papers, &[])), tunnel["port"].as_u64().unwrap());
    assert_eq!(a.tunnel_to(&b.papers)["path"], "direct");
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
}

/// The soft limit of open descriptors of a running process.
fn limit_descriptors(pid: u32, limit: u64) {
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: 4096 };
    // SAFETY: `limits` outlives the call, and no old value is asked for.
    let done = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limits, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

#[test]
fn without_a_descriptor_left_frames_go_on_and_who_knocks_is_let_in_later_without_a_busy_loop() {
    need_root();
    let mut net = Net::new();
    let (a, _b, _overlay) = pair(&mut net);
    let open = std::fs::read_dir(format!("/proc/{}/fd", a.pid())).unwrap().count();
    limit_descriptors(a.pid(), open as u64);
    let (user, system) = a.cpu_seconds();
    let mut visitors: Vec<_> =
        (0..3).map(|_| std::os::unix::net::UnixStream::connect(a.run_dir.join("control.sock")).unwrap()).collect();
    for visitor in &mut visitors {
        writeln!(visitor, r#"{{"id":1,"method":"hello","params":{{"client":"late"}}}}"#).unwrap();
    }
    a.must_ping("10.69.0.2", "-c 100 -i 0.02 -W 1");
    let (user, system) = (a.cpu_seconds().0 - user, a.cpu_seconds().1 - system);
    assert!(user + system < 0.4, "two seconds took {user} + {system} seconds of processor time");
    limit_descriptors(a.pid(), 1024);
    for visitor in visitors {
        visitor.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        let mut line = String::new();
        std::io::BufReader::new(visitor).read_line(&mut line).unwrap();
        assert!(line.contains(r#""bootId""#), "{line}");
    }
}

#[test]
fn an_order_to_end_removes_bridge_and_tap_unless_they_are_to_stay() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    let mut node = Tincan::start(&ns_a, overlay.node(1));
    node.configure(&overlay, &[]);
    assert!(link_exists(&ns_a, "evio0"));
    assert!(node.stop(libc::SIGTERM).success());
    assert!(!link_exists(&ns_a, "evio0") && !link_exists(&ns_a, "evio-tap"));

    let mut node = Tincan::start(&ns_b, overlay.node(2));
    node.configure(&overlay, &[]);
    node.control.call("shutdown", json!({ "keepBridge": true })).unwrap();
    wait("end", 3, || (!node.run_dir.join("control.sock").exists()).then_some(()));
    assert!(link_exists(&ns_b, "evio0") && link_exists(&ns_b, "evio-tap"));
}

#[test]
fn what_the_starting_process_had_open_is_closed() {
    use std::os::fd::AsRawFd;
    need_root();
    let mut net = Net::new();
    let ns = net.add("a");
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // SAFETY: the descriptor is open; without FD_CLOEXEC, as libdatachannel makes its own.
    assert_eq!(unsafe { libc::fcntl(port.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    let socket = std::fs::read_link(format!("/proc/self/fd/{}", port.as_raw_fd())).unwrap();
    let mut node = Tincan::start(&ns, Overlay::new().node(1));
    let entries = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap();
    let open: Vec<_> = entries.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap()).collect();
    assert!(open.len() > 3 && !open.contains(&socket), "{open:?}");
    // What it opened itself is not among what was closed.
    node.control.call("hello", json!({ "client": "test" })).unwrap();
}

#[test]
fn a_second_tincan_in_the_same_run_directory_is_refused_in_one_line() {
    need_root();
    let mut net = Net::new();
    let ns = net.add("a");
    let first = Tincan::start(&ns, Overlay::new().node(1));
    let second = Command::new(env!("CARGO_BIN_EXE_tincan")).arg("--run-dir").arg(&first.run_dir).output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(message.contains(&format!("pid {}", first.pid())) && message.lines().count() == 1, "{message}");
}

#[test]
fn a_run_directory_that_was_emptied_gets_its_sockets_back_and_still_has_one_tincan() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let ns = net.add("a");
    let mut node = Tincan::start(&ns, overlay.node(1));
    node.configure(&overlay, &[]);
    std::fs::remove_dir_all(&node.run_dir).unwrap();
    wait("sockets", 8, || node.run_dir.join("relay.sock").exists().then_some(()));
    let second = Command::new(env!("CARGO_BIN_EXE_tincan")).arg("--run-dir").arg(&node.run_dir).output().unwrap();
    assert!(String::from_utf8_lossy(&second.stderr).contains(&format!("pid {}", node.pid())));
    // The connection that stood goes on, new ones reach the same process, and ovs-ofctl finds its door.
    node.control.call("stats", json!({})).unwrap();
    let hello =
        Control::connect(&node.run_dir.join("control.sock")).call("hello", json!({ "client": "test" })).unwrap();
    assert_eq!(hello["pid"], node.pid());
    node.edge_flows(&[]);
    assert!(node.stop(libc::SIGTERM).success());
    assert!(!node.run_dir.join("control.sock").exists());
}

#[test]
fn refused_orders_have_codes_and_nonsense_ends_nothing() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let ns = net.add("a");
    let mut node = Tincan::start(&ns, overlay.node(1));
    let peer = overlay.node(2);
    let id = peer.node_id.to_string();
    let call = |node: &mut Tincan, method: &str, params| node.control.call(method, params).unwrap_err();
    assert_eq!(call(&mut node, "tunnels", json!({})), "not-configured");
    assert_eq!(call(&mut node, "configure", json!({})), "bad-request");
    node.configure(&overlay, &[]);
    assert_eq!(call(&mut node, "tunnel-add", json!({ "peer": id, "note": "" })), "not-found");
    assert_eq!(call(&mut node, "tunnel-remove", json!({ "peer": id })), "not-found");
    assert_eq!(call(&mut node, "ping", json!({ "to": id, "timeoutMs": 10 })), "not-found");
    assert_eq!(call(&mut node, "renew", json!({ "peer": id })), "not-found");
    assert_eq!(call(&mut node, "no-such-method", json!({})), "bad-request");
    let own = node.papers.clone();
    node.papers = peer.clone();
    let other = node.control.call(
        "configure",
        json!({
            "sessionKey": support::overlay::b64(&peer.session_key),
            "certificate": support::overlay::b64(&peer.certificate),
            "parameters": support::overlay::b64(&overlay.parameters),
            "bridge": { "name": "evio0", "tap": "evio-tap" },
            "udp": { "port": 0 },
            "stun": [],
        }),
    );
    assert_eq!(other.unwrap_err(), "conflict");
    node.papers = own;
    for line in ["\n", "{\n", "[]\n", "\u{0}\u{1}\n", "{\"id\":{}}\n"] {
        node.control.raw().write_all(line.as_bytes()).unwrap();
    }
    assert!(node.control.call("stats", json!({})).unwrap()["rssBytes"].as_u64().unwrap() < 16 << 20);
}

#[test]
fn a_revoked_member_is_cut_off_for_good_and_its_neighbours_hear_of_it() {
    need_root();
    let mut net = Net::new();
    let (mut a, mut b, overlay) = pair(&mut net);
    let list = overlay.revoke(1, &b.papers);
    let serial = a.control.call("revocations", json!({ "list": support::overlay::b64(&list) })).unwrap();
    assert_eq!(serial["serial"], 1);
    // The last it hears is why.
    assert_eq!(b.control.event("revocations", 3), json!({ "list": support::overlay::b64(&list) }));
    assert!(!a.ping("10.69.0.2", "-c 3 -i 0.1 -W 1").status.success());
    assert_eq!(a.tunnel_to(&b.papers)["path"], "none");
    // Its own knocking does not bring it back.
    wait("end of the path", 5, || (b.tunnel_to(&a.papers)["path"] == "none").then_some(()));
    assert!(!b.ping("10.69.0.1", "-c 3 -i 0.1 -W 1").status.success());
    let certificates = json!({ "certificates": [support::overlay::b64(&b.papers.certificate)] });
    assert_eq!(a.control.call("members", certificates).unwrap()["rejected"][0]["reason"], "revoked");
}

#[test]
fn a_list_that_came_by_gossip_is_told_to_the_agent_and_to_the_next_one() {
    need_root();
    let mut net = Net::new();
    let (mut a, mut b, overlay) = pair(&mut net);
    let stranger = overlay.node(3);
    let b64 = support::overlay::b64;
    let list = json!({ "list": b64(&overlay.revoke(2, &stranger)) });
    a.control.call("revocations", list.clone()).unwrap();
    assert_eq!(b.control.event("revocations", 3), list);
    b.control = Control::connect(&b.run_dir.join("control.sock"));
    b.configure(&overlay, &[]);
    assert_eq!(b.control.event("revocations", 3), list);
    // An agent with an older one is told which is in force, and may forget whom it does not know.
    let older = json!({ "list": b64(&overlay.revoke(1, &stranger)) });
    assert_eq!(b.control.call("revocations", older).unwrap()["serial"], 2);
    let peer = json!({ "peer": stranger.node_id.to_string() });
    assert_eq!(b.control.call("forget", peer), Ok(json!({})));
}

#[test]
fn a_node_that_was_away_when_a_list_came_hears_of_it_when_it_is_back() {
    need_root();
    let mut net = Net::new();
    let (mut a, mut b, overlay) = pair(&mut net);
    let stranger = overlay.node(3);
    let b64 = support::overlay::b64;
    b.signal(libc::SIGKILL);
    // At the beginning of the next session there is no path yet to tell it by.
    wait("end of the path", 10, || (a.tunnel_to(&b.papers)["path"] == "none").then_some(()));
    let list = json!({ "list": b64(&overlay.revoke(2, &stranger)) });
    a.control.call("revocations", list.clone()).unwrap();
    b.kill_and_restart();
    set_up(&mut b, &a, &overlay, ADDRESSES[0]);
    // Well before its turn in the gossip comes.
    assert_eq!(b.control.event("revocations", 5), list);
}

#[test]
fn sessions_renewed_by_order_of_both_ends_lose_no_packet() {
    need_root();
    let mut net = Net::new();
    let (mut a, mut b, _overlay) = pair(&mut net);
    let (ns, options) = (a.ns.clone(), "-i 0.005 -c 600 -W 1 -q");
    let ping = std::thread::spawn(move || sh(&format!("ip netns exec {ns} ping {options} 10.69.0.2")));
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(120));
        a.control.call("renew", json!({ "peer": b.papers.node_id.to_string() })).unwrap();
        std::thread::sleep(Duration::from_millis(120));
        b.control.call("renew", json!({ "peer": a.papers.node_id.to_string() })).unwrap();
    }
    let text = String::from_utf8_lossy(&ping.join().unwrap().stdout).into_owned();
    assert!(text.contains(" 0% packet loss"), "{text}");
}

/// Slow by nature: sessions are renewed after 120 s. `cargo test --test life -- --ignored`.
#[test]
#[ignore = "takes more than two minutes"]
fn keys_are_renewed_with_both_agents_away_and_no_packet_is_lost() {
    need_root();
    let mut net = Net::new();
    let (mut a, mut b, _overlay) = pair(&mut net);
    a.switch = None;
    b.switch = None;
    let began = Instant::now();
    let text = a.must_ping("10.69.0.2", "-i 0.02 -c 7000 -W 1 -q");
    assert!(began.elapsed() > Duration::from_secs(130));
    assert!(text.contains(" 0% packet loss"), "{text}");
}
