use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use super::super::testing::{enter, in_namespace, ip, ip_output, readable};
use super::*;
use crate::frame::{parse_tap, segment, Delivery, Ends, Merger, Network, TapFrame};
use crate::wire::Mac;

#[test]
fn a_datagram_leaves_by_the_tap_with_its_checksum_still_missing() {
    in_namespace(|| {
        let tap = Tap::open("t0").unwrap();
        ip("addr add 10.9.0.1/24 dev t0");
        ip("link set t0 up");
        ip("neigh add 10.9.0.2 lladdr 02:45:0a:09:00:02 dev t0 nud permanent");
        UdpSocket::bind("10.9.0.1:0").unwrap().send_to(b"hello", "10.9.0.2:7").unwrap();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            assert!(readable(&tap, 2000), "the datagram comes");
            let bytes = tap.read(&mut buffer).unwrap().unwrap();
            let TapFrame { vnet, frame } = parse_tap(&buffer[..bytes]).unwrap();
            if frame[12..14] == [8, 0] {
                assert!(vnet.needs_csum());
                assert!(frame.ends_with(b"hello"));
                break;
            }
        }
        while tap.read(&mut buffer).unwrap().is_some() {}
        assert_eq!(tap.read(&mut buffer).unwrap(), None);
    });
}

#[test]
fn a_tap_outlives_its_holder_and_is_attached_again() {
    in_namespace(|| {
        drop(Tap::open("t0").unwrap());
        ip("link set t0 up");
        let again = Tap::open("t0").unwrap();
        assert!(ip_output("-d link show t0").contains("vnet_hdr on"));
        assert!(matches!(Tap::open("t0"), Err(TapError::Busy(_))));
        again.set_carrier(false).unwrap();
        assert!(ip_output("link show t0").contains("NO-CARRIER"));
        again.forget().unwrap();
        // Another test's child has a copy of the descriptor between its fork and its exec.
        let gone = || !ip_output("link show").contains("t0");
        let patience = std::time::Instant::now();
        while !gone() {
            assert!(patience.elapsed().as_secs() < 2, "the tap stays");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
}

#[test]
fn a_name_that_cannot_be_a_tap_is_named_in_the_error() {
    in_namespace(|| {
        ip("link add d0 type bridge");
        let error = Tap::open("d0").unwrap_err();
        assert!(matches!(error, TapError::OtherLink(_)), "{error}");
        for name in ["", "sixteen-bytes-xx", "a/b", "a b", "..", "t%d"] {
            assert!(matches!(Tap::open(name), Err(TapError::Name(_))), "{name}");
        }
    });
}

#[test]
fn without_the_device_or_the_right_the_error_says_so() {
    in_namespace(|| {
        enter(libc::CLONE_NEWNS);
        let mount = |arguments: &str| {
            assert!(std::process::Command::new("mount").args(arguments.split(' ')).status().unwrap().success());
        };
        mount("--make-rprivate /");
        mount("-t tmpfs evio-test /dev/net");
        assert!(matches!(Tap::open("t0"), Err(TapError::NoDevice)));
        std::fs::write("/dev/net/tun", "").unwrap();
        // SAFETY: the raw call changes this thread alone, which ends with the test.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0);
        assert!(matches!(Tap::open("t0"), Err(TapError::NotPermitted(_))));
    });
}

/// What pumps saw.
#[derive(Default)]
struct Seen {
    super_frames: AtomicUsize,
    /// Super-frames inside a tunnel that a tap gave,
    tunnels_cut: AtomicUsize,
    /// and that were joined.
    tunnels_joined: AtomicUsize,
}

/// Cuts everything from one tap and writes it merged to the other, until told to stop; `ends` are the tunnels behind that other.
fn pump(from: &Tap, to: &Tap, ends: Option<&Arc<Ends>>, stop: &AtomicBool, seen: &Seen) {
    let mut buffer = vec![0; READ_BYTES];
    while !stop.load(Ordering::Relaxed) {
        if !readable(from, 50) {
            continue;
        }
        let mut records: Vec<(u8, Vec<u8>)> = vec![];
        while let Some(bytes) = from.read(&mut buffer).unwrap() {
            let tap = parse_tap(&buffer[..bytes]).unwrap();
            let cut =
                segment(&tap, 1400, |flags, head, payload| records.push((flags, [head, payload].concat()))).unwrap();
            seen.super_frames.fetch_add(usize::from(cut > 1), Ordering::Relaxed);
            seen.tunnels_cut.fetch_add(usize::from(tap.vnet.tunnel().unwrap().is_some()), Ordering::Relaxed);
            if records.len() > 64 {
                break;
            }
        }
        let mut merger = Merger::with_tunnels(ends);
        let mut sink = |delivery: &Delivery<'_>| {
            seen.tunnels_joined.fetch_add(usize::from(delivery.is_tunnel()), Ordering::Relaxed);
            drop(to.write(delivery.parts()));
        };
        for (counter, (flags, frame)) in records.iter().enumerate() {
            merger.push(1, counter as u64, *flags, frame, &mut sink).unwrap();
        }
        merger.flush(&mut sink);
    }
}

/// Lets `receive` and `send` run in two namespaces, which `end(2, 1)` and `end(1, 2)` furnish, and gives what both answer. `send` begins
/// once `receive` says that it listens.
fn between<R: Send + 'static, S: Send + 'static>(
    end: fn(u8, u8) -> Tap,
    ends: fn(u8) -> Option<Arc<Ends>>,
    receive: impl FnOnce(&dyn Fn()) -> R + Send + 'static,
    send: impl FnOnce() -> S + Send + 'static,
) -> (R, S, Seen) {
    let (taps_out, taps_in) = std::sync::mpsc::channel();
    let (left_out, right_out) = (taps_out.clone(), taps_out);
    let (listening_out, listening_in) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        in_namespace(move || {
            right_out.send((2, Arc::new(end(2, 1)))).unwrap();
            receive(&|| listening_out.send(()).unwrap())
        })
    });
    let client = std::thread::spawn(move || {
        in_namespace(move || {
            left_out.send((1, Arc::new(end(1, 2)))).unwrap();
            listening_in.recv().unwrap();
            send()
        })
    });
    let mut taps: Vec<(u8, Arc<Tap>)> = vec![taps_in.recv().unwrap(), taps_in.recv().unwrap()];
    taps.sort_by_key(|(host, _)| *host);
    let (left, right) = (taps[0].1.clone(), taps[1].1.clone());
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let pumps: Vec<_> = [(left.clone(), right.clone(), ends(2)), (right, left, ends(1))]
        .map(|(from, to, ends)| {
            let (stop, seen) = (stop.clone(), seen.clone());
            std::thread::spawn(move || pump(&from, &to, ends.as_ref(), &stop, &seen))
        })
        .into();
    let sent = client.join().unwrap();
    let got = server.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    for pump in pumps {
        pump.join().unwrap();
    }
    (got, sent, Arc::into_inner(seen).unwrap())
}

/// Sends 8 MiB from one namespace, which `end(1, 2)` furnishes, to `address` in another, furnished by `end(2, 1)`.
fn transfer(address: &'static str, end: fn(u8, u8) -> Tap, ends: fn(u8) -> Option<Arc<Ends>>) -> Seen {
    const BYTES: usize = 8 << 20;
    let receive = move |listens: &dyn Fn()| {
        let listener = TcpListener::bind((address, 7777)).unwrap();
        listens();
        let mut got = vec![];
        listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
        got
    };
    let send = move || {
        let data: Vec<u8> = (0..BYTES).map(|n| (n ^ (n >> 9)) as u8).collect();
        TcpStream::connect((address, 7777)).unwrap().write_all(&data).unwrap();
        data
    };
    let (got, sent, seen) = between(end, ends, receive, send);
    assert!(got == sent, "{} of {} bytes over {address}", got.len(), sent.len());
    seen
}

/// Datagrams of a burst.
const BURST: u32 = 20;

fn length_of(number: u32) -> usize {
    if number % BURST == BURST - 1 {
        700
    } else {
        1_200
    }
}

/// What a datagram with this number has.
fn datagram(number: u32, bytes: usize) -> Vec<u8> {
    let mut payload: Vec<u8> = (0..bytes).map(|at| (at as u32 ^ number) as u8).collect();
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// In bursts that a receive buffer holds: of datagrams of 1,200 bytes and a shorter one, handed to the kernel in one piece.
fn send_bursts(socket: &UdpSocket, bursts: u32) {
    let size: libc::c_int = 1_200;
    // SAFETY: the option reads one int, which lives through the call.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw const size).cast(), 4) };
    assert_eq!(set, 0);
    for burst in 0..bursts {
        let of = |n: u32| datagram(burst * BURST + n, length_of(n));
        socket.send(&(0..BURST).flat_map(of).collect::<Vec<u8>>()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Datagrams in the order in which they came, until none comes for a while.
fn receive_all(socket: &UdpSocket) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 2_000];
    let mut got = vec![];
    while let Ok(bytes) = socket.recv(&mut buffer) {
        got.push(buffer[..bytes].to_vec());
    }
    got
}

/// Whether this kernel takes super-frames of UDP from a tap (Linux 6.2).
fn kernel_takes_datagrams() -> bool {
    in_namespace(|| Tap::open("t0").unwrap().takes_datagrams())
}

#[test]
fn a_super_frame_of_datagrams_is_read_from_a_tap_and_cut_into_what_was_sent() {
    const BURSTS: u32 = 100;
    for (address, any) in [("10.9.0.2", "0.0.0.0:0"), ("fd09::2", "[::]:0")] {
        let receive = move |listens: &dyn Fn()| {
            let socket = UdpSocket::bind((address, 7777)).unwrap();
            listens();
            receive_all(&socket)
        };
        let send = move || {
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect((address, 7777)).unwrap();
            send_bursts(&socket, BURSTS);
        };
        let (got, (), seen) = between(end, |_| None, receive, send);
        let sent: Vec<Vec<u8>> = (0..BURSTS * BURST).map(|n| datagram(n, length_of(n))).collect();
        assert!(got == sent, "{} of {} over {address}", got.len(), sent.len());
        assert!(!kernel_takes_datagrams() || seen.super_frames.into_inner() >= 100, "to {address}");
    }
}

/// A namespace with a tap `t0`, whose host has this number, and the other host as neighbour.
fn end(host: u8, other: u8) -> Tap {
    let tap = Tap::open("t0").unwrap();
    furnish("t0", host, other);
    tap
}

fn furnish(link: &str, host: u8, other: u8) {
    ip(&format!("link set {link} address 02:45:0a:09:00:0{host} mtu 1400 up"));
    ip(&format!("addr add 10.9.0.{host}/24 dev {link}"));
    ip(&format!("addr add fd09::{host}/64 dev {link} nodad"));
    ip(&format!("neigh add 10.9.0.{other} lladdr 02:45:0a:09:00:0{other} dev {link} nud permanent"));
    ip(&format!("neigh add fd09::{other} lladdr 02:45:0a:09:00:0{other} dev {link} nud permanent"));
}

#[test]
fn tcp_between_two_kernels_arrives_whole_through_cutting_and_merging() {
    for address in ["10.9.0.2", "fd09::2"] {
        let seen = transfer(address, end, |_| None);
        assert!(seen.super_frames.into_inner() > 100);
    }
}

/// VXLAN over either family on `link`, each with both families inside.
fn vxlan(link: &str, host: u8, other: u8) {
    let outer =
        [format!("local 10.9.0.{host} remote 10.9.0.{other}"), format!("local fd09::{host} remote fd09::{other}")];
    for (outer, (number, mtu)) in outer.iter().zip([(4, 1350), (6, 1330)]) {
        ip(&format!("link add vx{number} mtu {mtu} type vxlan id {number} dstport 8472 {outer} dev {link}"));
        ip(&format!("addr add 10.{number}.0.{host}/24 dev vx{number}"));
        ip(&format!("addr add fd0{number}::{host}/64 dev vx{number} nodad"));
        ip(&format!("link set vx{number} up"));
    }
}

const VXLAN: [&str; 4] = ["10.4.0.2", "fd04::2", "10.6.0.2", "fd06::2"];

/// The tap is a port of a bridge, as tincan's is: the kernel cuts what is in the tunnel before.
fn bridged_end(host: u8, other: u8) -> Tap {
    let tap = Tap::open("t0").unwrap();
    ip("link add br0 type bridge");
    ip("link set t0 mtu 1400 master br0 up");
    furnish("br0", host, other);
    vxlan("br0", host, other);
    tap
}

fn lone_end(host: u8, other: u8) -> Tap {
    let tap = end(host, other);
    vxlan("t0", host, other);
    tap
}

fn ends(host: u8) -> Option<Arc<Ends>> {
    let addresses = vec![format!("10.9.0.{host}").parse().unwrap(), format!("fd09::{host}").parse().unwrap()];
    let ports = vec![(Network::Ipv4, 8472), (Network::Ipv6, 8472)];
    Some(Arc::new(Ends { mac: Mac([2, 0x45, 10, 9, 0, host]), ports, addresses }))
}

/// Whether this kernel takes super-frames of UDP tunnels from a tap (Linux 6.17).
fn kernel_takes_tunnels() -> bool {
    in_namespace(|| Tap::open("t0").unwrap().takes_tunnels())
}

#[test]
fn tcp_in_vxlan_that_the_kernel_cut_for_the_bridge_arrives_joined_and_whole() {
    if !kernel_takes_tunnels() {
        return;
    }
    for address in VXLAN {
        let seen = transfer(address, bridged_end, ends);
        assert!(seen.tunnels_joined.into_inner() > 100, "to {address}");
    }
}

#[test]
fn super_frames_in_vxlan_are_read_from_a_tap_cut_here_and_arrive_joined() {
    if !kernel_takes_tunnels() {
        return;
    }
    for address in VXLAN {
        let seen = transfer(address, lone_end, ends);
        assert!(seen.tunnels_cut.into_inner() > 100, "to {address}");
        assert!(seen.tunnels_joined.into_inner() > 100, "to {address}");
    }
}

#[test]
fn super_frames_in_vxlan_that_nobody_joins_again_arrive_whole() {
    for address in VXLAN {
        transfer(address, lone_end, |_| None);
    }
}
