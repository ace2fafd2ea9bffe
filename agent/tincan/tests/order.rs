//! A flow whose path becomes shorter while it runs.

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::{Duration, Instant};

use support::overlay::Overlay;
use support::{must, need_root, within, Net, Tincan};

const LAN: [&str; 3] = ["192.168.9.1", "192.168.9.2", "192.168.9.3"];
const BETWEEN: &str = "192.168.9.9:4000";
/// Longer than the direct way, and less than frames wait.
const DELAY: Duration = Duration::from_millis(6);
const STOOD_STILL: Duration = Duration::from_millis(18);
const DATAGRAMS: u32 = 2_000;
const EVERY: Duration = Duration::from_micros(500);

/// Passes on what one end sends to the other one, later.
fn delay(ns: &str, [b, c]: [SocketAddr; 2], ended: Arc<AtomicBool>) {
    let socket = within(ns, || UdpSocket::bind(BETWEEN).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let (later, due) = mpsc::channel::<(Instant, SocketAddr, Vec<u8>)>();
    let out = socket.try_clone().unwrap();
    thread::spawn(move || {
        for (at, to, datagram) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let _ = out.send_to(&datagram, to);
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 2_048];
        while !ended.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let to = if from == b { c } else { b };
            let _ = later.send((Instant::now() + DELAY, to, buffer[..length].to_vec()));
        }
    });
}

/// Datagrams with their number, one every half millisecond: when each left.
fn stream(ns: &str) -> thread::JoinHandle<Vec<Instant>> {
    let socket = within(ns, || UdpSocket::bind("10.69.0.1:9000").unwrap());
    socket.connect("10.69.0.3:9000").unwrap();
    thread::spawn(move || {
        let begun = Instant::now();
        let send = |number: u32| {
            thread::sleep((begun + EVERY * number).saturating_duration_since(Instant::now()));
            let now = Instant::now();
            socket.send(&number.to_be_bytes()).unwrap();
            now
        };
        (0..DATAGRAMS).map(send).collect()
    })
}

/// The numbers that came, and when.
fn receive(ns: &str) -> thread::JoinHandle<Vec<(u32, Instant)>> {
    let socket = within(ns, || UdpSocket::bind("10.69.0.3:9000").unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    thread::spawn(move || {
        let mut numbers = vec![];
        let mut buffer = [0; 4];
        while socket.recv(&mut buffer).is_ok() {
            numbers.push((u32::from_be_bytes(buffer), Instant::now()));
        }
        numbers
    })
}

struct Moved {
    numbers: Vec<u32>,
    /// Frames that overtook others, and waited for them.
    waited: u64,
    /// The longest that a datagram was on its way.
    longest: Duration,
}

/// a and c talk by b, and then by a tunnel of their own.
fn move_a_flow() -> Moved {
    let mut net = Net::new();
    let hub = net.add("hub");
    must(&format!("ip -n {hub} link add lan type bridge; ip -n {hub} link set lan up"));
    must(&format!("ip -n {hub} addr add 192.168.9.9/24 dev lan"));
    let names = ["a", "b", "c"].map(|name| net.add(name));
    for (name, address) in names.iter().zip(LAN) {
        must(&format!(
            "ip -n {name} link add wire type veth peer name to-{address} netns {hub}
             ip -n {hub} link set to-{address} master lan up
             ip -n {name} addr add {address}/24 dev wire; ip -n {name} link set wire up"
        ));
    }
    let overlay = Overlay::new();
    let papers = [1, 2, 3].map(|number| overlay.node(number));
    let mut nodes = [0, 1, 2].map(|one| Tincan::start(&names[one], papers[one].clone()));
    let mut at = [String::new(), String::new(), String::new()];
    for (one, node) in nodes.iter_mut().enumerate() {
        at[one] = format!("{}:{}", LAN[one], node.configure(&overlay, &[])["udpPort"]);
        let others: Vec<_> = papers.iter().filter(|other| other.node_id != papers[one].node_id).collect();
        node.add_members(&others);
        node.edge_flows(&others);
    }
    let ended = Arc::new(AtomicBool::new(false));
    delay(&hub, [at[1].parse().unwrap(), at[2].parse().unwrap()], ended.clone());
    let a_b = nodes[0].tunnel(&papers[1], &[at[1].clone()]);
    let b_a = nodes[1].tunnel(&papers[0], &[at[0].clone()]);
    let b_c = nodes[1].tunnel(&papers[2], &[BETWEEN.into()]);
    let c_b = nodes[2].tunnel(&papers[1], &[BETWEEN.into()]);
    for (node, label, port) in [(0, 1, a_b), (0, 2, a_b), (1, 0, b_a), (1, 2, b_c), (2, 1, c_b), (2, 0, c_b)] {
        nodes[node].core_flow(papers[label].label, port);
    }
    for (node, peer) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        nodes[node].wait_path(&papers[peer], "direct", 5);
    }
    nodes[0].must_ping("10.69.0.3", "-c 3 -i 0.05 -W 1");

    let receiving = receive(&names[2]);
    let sending = stream(&names[0]);
    thread::sleep(Duration::from_millis(300));
    let c_a = nodes[2].tunnel(&papers[0], &[at[0].clone()]);
    let a_c = nodes[0].tunnel(&papers[2], &[at[2].clone()]);
    nodes[0].wait_path(&papers[2], "direct", 2);
    nodes[2].core_flow(papers[0].label, c_a);
    nodes[0].core_flow(papers[2].label, a_c);
    let sent = sending.join().unwrap();
    let received = receiving.join().unwrap();
    ended.store(true, Ordering::Relaxed);
    let on_its_way = |(number, at): &(u32, Instant)| at.saturating_duration_since(sent[*number as usize]);
    Moved {
        waited: nodes[2].counter("frameWaited"),
        longest: received.iter().map(on_its_way).max().unwrap_or_default(),
        numbers: received.into_iter().map(|(number, _)| number).collect(),
    }
}

#[test]
fn a_flow_that_moves_to_a_shorter_path_keeps_its_order() {
    need_root();
    // A machine that stands still makes the longer way longer than frames wait.
    let moved = (0..8).map(|_| move_a_flow()).find(|moved| moved.longest < STOOD_STILL && moved.waited > 0);
    let Moved { numbers, .. } = moved.expect("eight times nothing was overtaken, or the machine stood still");
    assert_eq!(numbers.len(), DATAGRAMS as usize);
    assert!(numbers.is_sorted());
}
