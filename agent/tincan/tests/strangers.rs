//! Somebody on the neighbours' own LAN, who sees every record and knows no key, floods one of them while it carries a transfer.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{sleep, spawn, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use support::overlay::Overlay;
use support::{must, need_root, within, Net, Tincan};

const A: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 168, 7, 3);
const DATAGRAMS: usize = 100_000;
/// In one go; then it waits for a millisecond.
const GO: usize = 20;
const BLOCK: usize = 8_192;

/// A socket of packet(7) or raw(7) in a namespace.
fn open(ns: &str, family: i32, protocol: i32) -> OwnedFd {
    within(ns, move || {
        // SAFETY: no pointers; the descriptor is owned at once.
        unsafe {
            let fd = libc::socket(family, libc::SOCK_RAW | libc::SOCK_NONBLOCK, protocol);
            assert!(fd >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        }
    })
}

/// The payloads of UDP datagrams that went over any link of the namespace, by their source.
fn sniffed(socket: &OwnedFd) -> Vec<(Ipv4Addr, Vec<u8>)> {
    let mut found = vec![];
    loop {
        let mut buffer = vec![0; 65_536];
        // SAFETY: the kernel writes at most the buffer's size.
        let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        let Ok(length) = usize::try_from(got) else { return found };
        let Some(packet) = buffer.get(12..length) else { continue };
        // Ethertype, version and length of the header, protocol: IPv4 without options, UDP.
        if packet.len() > 30 && packet[..3] == [8, 0, 0x45] && packet[11] == 17 {
            let source = Ipv4Addr::new(packet[14], packet[15], packet[16], packet[17]);
            found.push((source, packet[30..].to_vec()));
        }
    }
}

/// An IPv4 datagram in somebody else's name, without a checksum of UDP (RFC 768 allows it).
fn send_as(socket: &OwnedFd, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), payload: &[u8]) {
    let length = |of: usize| (of as u16).to_be_bytes();
    // Length, identification and checksum of the IP header are the kernel's to fill (raw(7)).
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    packet.extend([from.1.to_be_bytes(), to.1.to_be_bytes(), length(8 + payload.len()), [0, 0]].concat());
    packet.extend(payload);
    // SAFETY: the kernel reads `packet` and `address`, which outlive the call.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from_ne_bytes(to.0.octets());
        let size = std::mem::size_of_val(&address) as u32;
        let address = std::ptr::from_ref(&address).cast();
        libc::sendto(socket.as_raw_fd(), packet.as_ptr().cast(), packet.len(), 0, address, size);
    }
}

/// What the stranger has seen on the LAN.
struct Seen {
    to_b: Vec<Vec<u8>>,
    of_b: Vec<Vec<u8>>,
    initiation: Vec<u8>,
}

/// Datagram `number`, of one kind after the other.
fn datagram(number: usize, seen: &Seen) -> Vec<u8> {
    let noise = |bytes: usize| -> Vec<u8> {
        (0..bytes).map(|at| (number.wrapping_mul(0x9e37_79b9).wrapping_add(at * 31) >> 5) as u8).collect()
    };
    let headed = |head: &[u8], bytes: usize| [head, &noise(bytes)].concat();
    if number % 100 == 99 {
        return headed(&[0xc3, 0, 0, 0], 65_000);
    }
    match number % 12 {
        0 => noise(1 + number % 1_400),
        1 => vec![],
        2 => headed(&[0xc3 + (number / 12 % 6) as u8, 0, 0, 0], 100),
        3 => headed(&[0xc0, 0, 64, 0], 16).into_iter().chain(headed(&[0xc3, 0, 0, 0], 60)).collect(),
        4 | 5 => seen.to_b[number % seen.to_b.len()].clone(),
        6 | 7 => seen.of_b[number % seen.of_b.len()].clone(),
        8 => seen.initiation.clone(),
        9 => headed(&[0xc2, 0, 0, 0], 20),
        10 => [&[0xc9, 3][..], &[0; 10], &headed(&[0xc3, 0, 0, 0], 12)].concat(),
        _ => headed(&[1, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42], 20),
    }
}

/// A TCP stream of numbered blocks that runs until told to stop. The reader gives how much came and the longest time without any.
struct Transfer {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<()>,
    reader: JoinHandle<(usize, Duration)>,
}

impl Transfer {
    fn start(from: &str, to: &str, address: SocketAddr) -> Self {
        let listener = within(to, move || TcpListener::bind(address)).unwrap();
        let mut source = within(from, move || TcpStream::connect_timeout(&address, Duration::from_secs(3))).unwrap();
        let (mut sink, _) = listener.accept().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let writer = spawn(move || {
            for number in 0u64.. {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                source.write_all(&number.to_be_bytes().repeat(BLOCK / 8)).unwrap();
            }
        });
        let reader = spawn(move || {
            sink.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let (mut bytes, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
            let mut block = vec![0; BLOCK];
            for number in 0u64.. {
                match sink.read_exact(&mut block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                    Err(error) => panic!("the transfer stands still: {error}"),
                }
                assert_eq!(block, number.to_be_bytes().repeat(BLOCK / 8), "block {number} is another");
                bytes += BLOCK;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            (bytes, longest)
        });
        Self { stop, writer, reader }
    }

    fn end(self) -> (usize, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.writer.join().unwrap();
        self.reader.join().unwrap()
    }
}

/// a, b and the stranger on one LAN, which is a namespace too.
fn lan(net: &mut Net) -> (String, [String; 3]) {
    let lan = net.add("lan");
    must(&format!("ip -n {lan} link add hub type bridge; ip -n {lan} link set hub up"));
    let places = [("a", A), ("b", B), ("s", STRANGER)].map(|(name, address)| {
        let ns = net.add(name);
        must(&format!(
            "ip -n {lan} link add to-{name} type veth peer name wire netns {ns}
             ip -n {lan} link set to-{name} master hub; ip -n {lan} link set to-{name} up
             ip -n {ns} addr add {address}/24 dev wire; ip -n {ns} link set wire up"
        ));
        ns
    });
    (lan, places)
}

#[test]
fn a_stranger_s_flood_stops_no_transfer_takes_no_memory_and_fills_no_log() {
    need_root();
    let mut net = Net::new();
    let (lan, [ns_a, ns_b, ns_s]) = lan(&mut net);
    let sniffer = open(&lan, libc::AF_PACKET, i32::from((libc::ETH_P_ALL as u16).to_be()));
    let overlay = Overlay::new();
    let log = std::env::temp_dir().join(format!("{ns_b}.log"));
    let mut a = Tincan::start(&ns_a, overlay.node(1));
    let mut b = Tincan::start_logging(&ns_b, overlay.node(2), &log);
    let port_a = a.configure(&overlay, &[])["udpPort"].as_u64().unwrap() as u16;
    let port_b = b.configure(&overlay, &[])["udpPort"].as_u64().unwrap() as u16;
    let (papers_a, papers_b) = (a.papers.clone(), b.papers.clone());
    for (node, peer, address) in
        [(&mut a, &papers_b, format!("{B}:{port_b}")), (&mut b, &papers_a, format!("{A}:{port_a}"))]
    {
        node.add_members(&[peer]);
        node.edge_flows(&[peer]);
        let port = node.tunnel(peer, &[address]);
        node.core_flow(peer.label, port);
    }
    a.wait_path(&b.papers, "direct", 5);
    let path = b.wait_path(&a.papers, "direct", 5);
    a.must_ping("10.69.0.2", "-c 20 -i 0.05 -W 1");
    let mut records = sniffed(&sniffer);
    // So that there is an initiation of a's to record.
    a.control.call("renew", json!({ "peer": b.papers.node_id.to_string() })).unwrap();
    sleep(Duration::from_secs(1));
    records.extend(sniffed(&sniffer));
    drop(sniffer);

    let sealed = |record: &[u8]| record.len() > 32 && (0xc3..=0xc8).contains(&record[0]);
    let (mut to_b, mut of_b, mut initiation) = (vec![], vec![], None);
    for (source, record) in records {
        match source {
            A if sealed(&record) => to_b.push(record),
            A if record.starts_with(&[0xc1, 1]) => initiation = Some(record),
            B if sealed(&record) => of_b.push(record),
            _ => {}
        }
    }
    let seen = Seen { to_b, of_b, initiation: initiation.expect("an initiation of a's") };
    assert!(seen.to_b.len() > 20 && seen.of_b.len() > 20);

    let transfer = Transfer::start(&ns_a, &ns_b, "10.69.0.2:7000".parse().unwrap());
    sleep(Duration::from_secs(2));
    let stats = |b: &mut Tincan| {
        let stats = b.control.call("stats", json!({})).unwrap();
        let counters: BTreeMap<String, u64> = serde_json::from_value(stats["counters"].clone()).unwrap();
        (counters, stats["rssBytes"].as_u64().unwrap())
    };
    let (before, memory) = stats(&mut b);

    let stranger = within(&ns_s, || UdpSocket::bind((STRANGER, 0))).unwrap();
    stranger.set_nonblocking(true).unwrap();
    let disguise = open(&ns_s, libc::AF_INET, libc::IPPROTO_RAW);
    let (began, mut answers) = (Instant::now(), 0);
    for number in 0..DATAGRAMS {
        let payload = datagram(number, &seen);
        // Every other small one in the name of a, by the address and port that b has proven.
        if number / 12 % 2 == 0 && payload.len() < 1_400 {
            send_as(&disguise, (A, port_a), (B, port_b), &payload);
        } else {
            let _ = stranger.send_to(&payload, (B, port_b));
        }
        if number % GO == 0 {
            sleep(Duration::from_millis(1));
            while stranger.recv(&mut [0; 2_048]).is_ok() {
                answers += 1;
            }
        }
    }
    let took = began.elapsed();
    sleep(Duration::from_secs(1));
    let (after, memory_after) = stats(&mut b);
    let path_after = b.tunnel_to(&a.papers);
    let (bytes, longest) = transfer.end();
    let lines = std::fs::read_to_string(&log).unwrap().lines().count();
    let _ = std::fs::remove_file(&log);

    let grown: BTreeMap<&str, u64> = after
        .iter()
        .map(|(name, count)| (name.as_str(), count - before.get(name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    eprintln!(
        "{DATAGRAMS} datagrams in {took:?}, {answers} answers; {bytes} bytes carried, at most {longest:?} without any; \
         memory {memory} -> {memory_after}; {lines} lines of log; {grown:?}"
    );
    assert!(longest < Duration::from_secs(2), "the transfer stood still for {longest:?}");
    assert!(bytes > 10 << 20, "{bytes} bytes");
    assert!(memory_after < memory + (2 << 20), "memory grew from {memory} to {memory_after}");
    // A hundred at once and one a second, with another that says how many were left out (src/log.rs).
    let seconds = took.as_secs() + 10;
    assert!(lines as u64 <= 100 + 2 * seconds, "{lines} lines");
    // Ten notices and ten cookies a second to one address.
    assert!(answers <= 20 * (took.as_secs() + 2), "{answers} answers in {took:?}");
    assert_eq!((&path_after["path"], &path_after["remote"]), (&path["path"], &path["remote"]));
    for name in [
        "unknownRecord",
        "datagramTooBig",
        "unknown-index",
        "routedByUnprovenPath",
        "replayed",
        "reflected",
        "cookie-asked",
        "busy",
        "noticeForged",
        "stunUnasked",
        "malformed",
    ] {
        assert!(grown.get(name).is_some_and(|count| *count > 0), "nothing was counted as {name}: {grown:?}");
    }
    a.must_ping("10.69.0.2", "-c 5 -i 0.05 -W 1");
}
