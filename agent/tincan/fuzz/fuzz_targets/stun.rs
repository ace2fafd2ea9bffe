//! What STUN servers answer, and whoever says to be one.
#![no_main]

use std::cell::Cell;
use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use tincan::stun::{decode, Client, Response, TransactionId};
use tincan::time::SECOND;
use tincan_fuzz::script::head;
use tincan_fuzz::{bounded, Script};

thread_local!(static DRAWN: Cell<u8> = const { Cell::new(0) });

fn draw() -> TransactionId {
    DRAWN.set(DRAWN.get().wrapping_add(1));
    [DRAWN.get(); 12]
}

fn client(data: &[u8]) {
    DRAWN.set(0);
    let servers: [SocketAddr; 2] = [([198, 51, 100, 1], 3478).into(), ([198, 51, 100, 2], 3478).into()];
    let stranger: SocketAddr = ([198, 51, 100, 3], 3478).into();
    let mut client = Client::new(draw);
    client.set_servers(&servers, 0);
    let (mut now, mut asked) = (0, [None; 2]);
    for (kind, bytes) in Script::new(data) {
        match kind % 4 {
            0 => {
                now += u64::from(kind) * SECOND / 4;
                client.tick(now, |to, request| {
                    let at = servers.iter().position(|server| *server == to).expect("only servers are asked");
                    asked[at] = request.get(8..20).map(|id| TransactionId::try_from(id).expect("12 bytes"));
                });
            }
            1 => client.set_servers(&servers[..usize::from(kind / 4 % 3)], now),
            2 => client.hurry(now),
            _ => {
                let which = usize::from(kind / 4 % 3);
                let from = servers.get(which).copied().unwrap_or(stranger);
                let mut datagram = bytes.to_vec();
                // Half of the answers know what was asked.
                let known = asked.get(which).copied().flatten().filter(|_| kind & 128 != 0);
                if let (Some(id), Some(field)) = (known, datagram.get_mut(8..20)) {
                    field.copy_from_slice(&id);
                }
                let before: Vec<_> = client.mapped().collect();
                if client.received(from, &datagram, now) {
                    let (id, _) = decode(&datagram).expect("what changed something is a response");
                    assert_eq!(asked[which], Some(id), "an answer that nobody asked for");
                } else {
                    assert_eq!(before, client.mapped().collect::<Vec<_>>());
                }
            }
        }
        assert!(client.mapped().all(|(server, _)| client.is_server(server)));
        assert!(client.mapped().count() <= servers.len());
    }
}

fuzz_target!(|data: &[u8]| bounded(2 * data.len() + 16 * 1_024, || {
    if let Some((transaction, response)) = decode(data) {
        let (header, _) = head::<20>(data);
        assert_eq!(transaction, header[8..]);
        assert_eq!(usize::from(u16::from_be_bytes([header[2], header[3]])), data.len() - 20);
        assert_eq!(response == Response::Error, header[..2] == [0x01, 0x11]);
    }
    client(data);
}));
