use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use super::super::testing::{enter, in_namespace, ip, ip_output, readable};
use super::*;
use crate::frame::{parse_tap, segment, Delivery, Merger, TapFrame};

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

/// Cuts everything from one tap and writes it merged to the other, until told to stop; returns the super-frames it saw.
fn pump(from: &Tap, to: &Tap, stop: &AtomicBool, super_frames: &AtomicUsize) {
    let mut buffer = vec![0; READ_BYTES];
    while !stop.load(Ordering::Relaxed) {
        if !readable(from, 50) {
            continue;
        }
        while let Some(bytes) = from.read(&mut buffer).unwrap() {
            let mut records: Vec<(u8, Vec<u8>)> = vec![];
            let tap = parse_tap(&buffer[..bytes]).unwrap();
            segment(&tap, 1300, |flags, head, payload| records.push((flags, [head, payload].concat()))).unwrap();
            super_frames.fetch_add(usize::from(records.len() > 1), Ordering::Relaxed);
            let mut merger = Merger::new();
            let mut sink = |delivery: &Delivery<'_>| drop(to.write(delivery.parts()));
            for (counter, (flags, frame)) in records.iter().enumerate() {
                merger.push(1, counter as u64, *flags, frame, &mut sink).unwrap();
            }
            merger.flush(&mut sink);
        }
    }
}

/// A namespace with a tap `t0`, host number `host`, and the other host as neighbour.
fn end(host: u8, other: u8) -> Tap {
    let tap = Tap::open("t0").unwrap();
    ip(&format!("link set t0 address 02:45:0a:09:00:0{host} mtu 1400 up"));
    ip(&format!("addr add 10.9.0.{host}/24 dev t0"));
    ip(&format!("addr add fd09::{host}/64 dev t0 nodad"));
    ip(&format!("neigh add 10.9.0.{other} lladdr 02:45:0a:09:00:0{other} dev t0 nud permanent"));
    ip(&format!("neigh add fd09::{other} lladdr 02:45:0a:09:00:0{other} dev t0 nud permanent"));
    tap
}

#[test]
fn tcp_between_two_kernels_arrives_whole_through_cutting_and_merging() {
    const BYTES: usize = 8 << 20;
    for address in ["10.9.0.2", "fd09::2"] {
        let (taps_out, taps_in) = std::sync::mpsc::channel();
        let (left_out, right_out) = (taps_out.clone(), taps_out);
        let (listening_out, listening_in) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            in_namespace(move || {
                right_out.send((2, Arc::new(end(2, 1)))).unwrap();
                let listener = TcpListener::bind((address, 7777)).unwrap();
                listening_out.send(()).unwrap();
                let mut got = vec![];
                listener.accept().unwrap().0.read_to_end(&mut got).unwrap();
                got
            })
        });
        let client = std::thread::spawn(move || {
            in_namespace(move || {
                left_out.send((1, Arc::new(end(1, 2)))).unwrap();
                listening_in.recv().unwrap();
                let data: Vec<u8> = (0..BYTES).map(|n| (n ^ (n >> 9)) as u8).collect();
                TcpStream::connect((address, 7777)).unwrap().write_all(&data).unwrap();
                data
            })
        });
        let mut taps: Vec<(u8, Arc<Tap>)> = vec![taps_in.recv().unwrap(), taps_in.recv().unwrap()];
        taps.sort_by_key(|(host, _)| *host);
        let (left, right) = (taps[0].1.clone(), taps[1].1.clone());
        let (stop, super_frames) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let pumps: Vec<_> = [(left.clone(), right.clone()), (right, left)]
            .map(|(from, to)| {
                let (stop, super_frames) = (stop.clone(), super_frames.clone());
                std::thread::spawn(move || pump(&from, &to, &stop, &super_frames))
            })
            .into();
        let sent = client.join().unwrap();
        let got = server.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        for pump in pumps {
            pump.join().unwrap();
        }
        assert!(got == sent, "{} of {} bytes over {address}", got.len(), sent.len());
        assert!(super_frames.load(Ordering::Relaxed) > 100);
    }
}
