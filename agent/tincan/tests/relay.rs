//! Two tincans that cannot reach each other: their records travel through the relay sockets, as through two agents.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use serde_json::json;
use support::control::connect;
use support::overlay::Overlay;
use support::{iperf, need_root, wait, Net, Tincan};
use tincan::relay::{encode_credit, encode_records, records_mut, Decoder, Unit};

/// Carries records from one relay socket to the other, as the two agents do, and grants what it has carried.
fn carry(mut from: UnixStream, mut to: UnixStream, from_port: u16, to_port: u16, open: Arc<AtomicBool>) {
    from.write_all(&encode_credit(from_port, 1 << 20)).unwrap();
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 65_536];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            return;
        }
        decoder.push(&buffer[..length]);
        while let Some((unit, payload)) = decoder.next().unwrap() {
            assert_eq!(unit, Unit::Records { port: from_port });
            let credit = encode_credit(from_port, payload.len() as u32);
            let records: Vec<&[u8]> = records_mut(payload).map(|record| &*record).collect();
            let carried = encode_records(to_port, &records);
            if open.load(Ordering::Relaxed) && to.write_all(&carried).is_err() {
                return;
            }
            if from.write_all(&credit).is_err() {
                return;
            }
        }
    }
}

#[test]
fn records_go_by_the_agents_where_no_address_answers() {
    need_root();
    let mut net = Net::new();
    let overlay = Overlay::new();
    let (ns_a, ns_b) = (net.add("a"), net.add("b"));
    let mut a = Tincan::start(&ns_a, overlay.node(1));
    let mut b = Tincan::start(&ns_b, overlay.node(2));
    a.configure(&overlay, &[]);
    b.configure(&overlay, &[]);
    let (papers_a, papers_b) = (a.papers.clone(), b.papers.clone());
    let mut ports = [0u16; 2];
    for (index, (node, peer)) in [(&mut a, &papers_b), (&mut b, &papers_a)].into_iter().enumerate() {
        node.add_members(&[peer]);
        node.edge_flows(&[peer]);
        let port = node.tunnel(peer, &[]);
        node.core_flow(peer.label, port);
        ports[index] = port as u16;
    }
    let (to_a, to_b) = (connect(&a.run_dir.join("relay.sock")), connect(&b.run_dir.join("relay.sock")));
    let open = Arc::new(AtomicBool::new(true));
    let ways = [
        (to_a.try_clone().unwrap(), to_b.try_clone().unwrap(), ports[0], ports[1]),
        (to_b.try_clone().unwrap(), to_a.try_clone().unwrap(), ports[1], ports[0]),
    ];
    let carriers = ways.map(|(from, to, from_port, to_port)| {
        let open = open.clone();
        std::thread::spawn(move || carry(from, to, from_port, to_port, open))
    });
    for (node, peer) in [(&mut a, &papers_b), (&mut b, &papers_a)] {
        let params = json!({ "peer": peer.node_id.to_string(), "up": true, "recordSize": 1200 });
        node.control.call("tunnel-webrtc", params).unwrap();
    }
    let tunnel = a.wait_path(&papers_b, "webrtc", 3);
    assert_eq!((&tunnel["remoteType"], &tunnel["recordSize"]), (&json!("webrtc"), &json!(1200)));
    b.wait_path(&papers_a, "webrtc", 3);
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
    // A full MTU does not fit one record of 1,200 bytes.
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1 -s 1372 -M do");
    let rate = iperf(&ns_b, &ns_a, "10.69.0.2", 2);
    eprintln!("one flow by the relay sockets: {:.0} Mbit/s", rate / 1e6);
    assert!(rate > 20e6);
    let answer = a.control.call("ping", json!({ "to": papers_b.node_id.to_string(), "timeoutMs": 1000 })).unwrap();
    assert_eq!(answer["path"], "webrtc", "{answer}");

    // An agent that stops carrying costs the path within a little more than a second of traffic, and nothing hangs.
    open.store(false, Ordering::Relaxed);
    a.ping("10.69.0.2", "-c 15 -i 0.1 -W 1");
    assert_eq!(a.tunnel_to(&papers_b)["path"], "none");
    open.store(true, Ordering::Relaxed);
    a.wait_path(&papers_b, "webrtc", 3);
    wait("ping", 3, || a.ping("10.69.0.2", "-c 1 -W 1").status.success().then_some(()));
    drop((a, b));
    for carrier in carriers {
        let _ = carrier.join();
    }
}
