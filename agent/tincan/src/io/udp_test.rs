use super::super::testing::{in_namespace, ip, readable};
use super::*;

fn fill(batch: &mut Batch, to: SocketAddr, sizes: &[usize]) {
    for (n, size) in sizes.iter().enumerate() {
        batch.slot(to, *size).expect("there is room").fill(n as u8 + 1);
    }
}

/// Everything that came, as datagrams.
fn receive_all(socket: &Udp, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; RECEIVE_BYTES];
    let mut got = vec![];
    while got.len() < count && readable(socket, 1000) {
        while let Some(received) = socket.receive(&mut buffer).unwrap() {
            let records = buffer[..received.bytes].chunks(received.segment);
            got.extend(records.map(|record| (received.from, record.to_vec())));
        }
    }
    got
}

fn loopback(v6: bool, port: u16) -> SocketAddr {
    if v6 {
        (Ipv6Addr::LOCALHOST, port).into()
    } else {
        ([127, 0, 0, 1], port).into()
    }
}

#[test]
fn a_batch_arrives_as_the_records_it_was_made_of_over_both_families() {
    in_namespace(|| {
        let (a, b) = (Udp::bind(20001).unwrap(), Udp::bind(0).unwrap());
        for v6 in [false, true] {
            let to = loopback(v6, b.port().unwrap());
            let mut batch = Batch::new();
            fill(&mut batch, to, &[1400, 1400, 1400, 300]);
            a.send(&mut batch).unwrap();
            assert!(batch.is_empty());
            let got = receive_all(&b, 4);
            assert_eq!(got.iter().map(|(_, record)| record.len()).collect::<Vec<_>>(), [1400, 1400, 1400, 300]);
            for (n, (from, record)) in got.iter().enumerate() {
                assert_eq!(*from, loopback(v6, 20001));
                assert!(record.iter().all(|byte| usize::from(*byte) == n + 1));
            }
        }
    });
}

#[test]
fn a_burst_of_64_kilobytes_comes_in_one_receive() {
    in_namespace(|| {
        let (a, b) = (Udp::bind(0).unwrap(), Udp::bind(0).unwrap());
        let mut batch = Batch::new();
        fill(&mut batch, loopback(false, b.port().unwrap()), &[1400; 46]);
        a.send(&mut batch).unwrap();
        let mut buffer = vec![0; RECEIVE_BYTES];
        assert!(readable(&b, 1000));
        let received = b.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((received.bytes, received.segment), (46 * 1400, 1400));
    });
}

#[test]
fn a_destination_that_takes_no_batches_gets_its_records_one_by_one() {
    in_namespace(|| {
        let (a, b) = (Udp::bind(0).unwrap(), Udp::bind(0).unwrap());
        let to = loopback(false, b.port().unwrap());
        a.remember_unsegmented(to);
        let mut batch = Batch::new();
        fill(&mut batch, to, &[500, 500, 20]);
        a.send(&mut batch).unwrap();
        let mut buffer = vec![0; RECEIVE_BYTES];
        for bytes in [500, 500, 20] {
            assert!(readable(&b, 1000));
            let received = b.receive(&mut buffer).unwrap().unwrap();
            assert_eq!((received.bytes, received.segment), (bytes, bytes));
        }
    });
}

#[test]
fn a_kernel_that_refuses_batches_is_given_the_records_one_by_one_from_then_on() {
    // UDP without checksums has no segmentation: the kernel answers EINVAL (udp_send_skb, udp_v6_send_skb).
    const UDP_NO_CHECK6_TX: libc::c_int = 101;
    const UDP_NO_CHECK6_RX: libc::c_int = 102;
    for v6 in [false, true] {
        in_namespace(move || {
            let (a, b) = (Udp::bind(0).unwrap(), Udp::bind(0).unwrap());
            set_option(&a.fd, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
            set_option(&a.fd, libc::SOL_UDP, UDP_NO_CHECK6_TX, 1).unwrap();
            set_option(&b.fd, libc::SOL_UDP, UDP_NO_CHECK6_RX, 1).unwrap();
            let to = loopback(v6, b.port().unwrap());
            for known in [false, true] {
                assert_eq!(a.is_unsegmented(to), known);
                let mut batch = Batch::new();
                fill(&mut batch, to, &[1400, 1400, 1400, 300]);
                a.send(&mut batch).unwrap();
                assert!(batch.is_empty());
            }
            let got = receive_all(&b, 8);
            let sizes: Vec<usize> = got.iter().map(|(_, record)| record.len()).collect();
            assert_eq!(sizes, [1400, 1400, 1400, 300, 1400, 1400, 1400, 300]);
            for (n, (_, record)) in got.iter().enumerate() {
                assert!(record.iter().all(|byte| usize::from(*byte) == n % 4 + 1));
            }
        });
    }
}

#[test]
fn with_batches_off_every_datagram_is_sent_and_received_by_itself() {
    in_namespace(|| {
        let bound = || Udp::bind_family(libc::AF_INET6, 0, false).unwrap();
        let (a, b, batching) = (bound(), bound(), Udp::bind(0).unwrap());
        // One that would take a batch as a whole hears that none was sent, and one that sends batches that none is received.
        for (from, to, sizes) in [(&a, &batching, [700, 700, 700]), (&batching, &b, [700, 700, 700])] {
            let mut batch = Batch::new();
            fill(&mut batch, loopback(false, to.port().unwrap()), &sizes);
            from.send(&mut batch).unwrap();
            let mut buffer = vec![0; RECEIVE_BYTES];
            for bytes in sizes {
                assert!(readable(to, 1000));
                let received = to.receive(&mut buffer).unwrap().unwrap();
                assert_eq!((received.bytes, received.segment), (bytes, bytes));
            }
        }
    });
}

#[test]
fn the_environment_may_have_batches_on_or_off_and_nothing_else() {
    for (value, wanted) in [(None, true), (Some(""), true), (Some("on"), true), (Some("off"), false)] {
        assert_eq!(batches_wanted(value), Ok(wanted));
    }
    assert_eq!(batches_wanted(Some("no")).unwrap_err(), "EVIO_UDP_GSO=no is not allowed; allowed: on, off");
}

#[test]
fn the_interface_that_a_batch_came_by_is_told_for_both_families() {
    in_namespace(|| {
        let (a, b) = (Udp::bind(0).unwrap(), Udp::bind(0).unwrap());
        let only_v4 = Udp::bind_family(libc::AF_INET, 0, true).unwrap();
        let name = c"lo";
        // SAFETY: a constant C string.
        let lo = unsafe { libc::if_nametoindex(name.as_ptr()) };
        for (to, v6) in [(&b, false), (&b, true), (&only_v4, false)] {
            let mut batch = Batch::new();
            fill(&mut batch, loopback(v6, to.port().unwrap()), &[1400, 1400, 300]);
            a.send(&mut batch).unwrap();
            let mut buffer = vec![0; RECEIVE_BYTES];
            assert!(readable(to, 1000));
            let received = to.receive(&mut buffer).unwrap().unwrap();
            assert_eq!((received.bytes, received.segment, received.interface), (3100, 1400, lo));
        }
    });
}

#[test]
fn records_above_the_mtu_are_reported_and_not_fragmented() {
    in_namespace(|| {
        ip("link set lo mtu 1500");
        let (a, b) = (Udp::bind(0).unwrap(), Udp::bind(0).unwrap());
        for v6 in [false, true] {
            let to = loopback(v6, b.port().unwrap());
            for sizes in [&[1600][..], &[1600, 1600, 1600]] {
                let mut batch = Batch::new();
                fill(&mut batch, to, sizes);
                assert!(matches!(a.send(&mut batch), Err(SendError::TooBig)));
                assert!(batch.is_empty());
            }
            // That says nothing about batches of smaller records.
            assert!(!a.is_unsegmented(to));
            let mut batch = Batch::new();
            fill(&mut batch, to, &[1400, 1400]);
            a.send(&mut batch).unwrap();
            assert_eq!(receive_all(&b, 2).len(), 2);
        }
    });
}

#[test]
fn a_port_that_is_taken_and_a_place_without_a_route_are_errors() {
    in_namespace(|| {
        let a = Udp::bind(20001).unwrap();
        assert_eq!(Udp::bind(20001).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let mut batch = Batch::new();
        fill(&mut batch, ([192, 0, 2, 1], 9).into(), &[10]);
        assert!(matches!(a.send(&mut batch), Err(SendError::System(_))));
        assert!(batch.is_empty());
    });
}

#[test]
fn an_empty_datagram_is_one_record_of_no_bytes() {
    in_namespace(|| {
        let b = Udp::bind(0).unwrap();
        let port = b.port().unwrap();
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[], ("127.0.0.1", port)).unwrap();
        assert!(readable(&b, 1000));
        let received = b.receive(&mut vec![0; RECEIVE_BYTES]).unwrap().unwrap();
        assert_eq!((received.bytes, received.segment), (0, 1));
    });
}

#[test]
fn ipv4_only_machines_are_served() {
    in_namespace(|| {
        let (a, b) = (Udp::bind_family(libc::AF_INET, 0, true).unwrap(), Udp::bind(0).unwrap());
        let mut batch = Batch::new();
        fill(&mut batch, loopback(false, b.port().unwrap()), &[700, 700]);
        a.send(&mut batch).unwrap();
        assert_eq!(receive_all(&b, 2)[0].0, loopback(false, a.port().unwrap()));
    });
}

#[test]
fn the_kernels_that_garble_equal_segments_are_known() {
    for (release, affected) in
        [("6.18.44-fc", false), ("7.0.0-rc1", true), ("7.1.4", true), ("7.1.5", false), ("7.1", true), ("", false)]
    {
        assert_eq!(batch_needs_tail(release), affected, "{release}");
    }
}
