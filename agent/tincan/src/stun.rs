//! Binding requests of STUN (RFC 8489), sent from tincan's own UDP socket to learn how the node's NATs map it
//! (docs/wire.md §8). [`decode`] and [`request`] are the codec, [`Client`] the machine of all configured servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::time::{Micros, SECOND};

pub const MAGIC_COOKIE: u32 = 0x2112_a442;
const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Chosen at random for each request (RFC 8489 §5): an answer without it is nobody's.
pub type TransactionId = [u8; 12];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    Mapped(SocketAddr),
    /// The server refused; worth a counter, nothing else.
    Error,
}

pub fn request(transaction: TransactionId) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    out[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    out[8..].copy_from_slice(&transaction);
    out
}

/// A response and the transaction it answers; None for anything else.
pub fn decode(datagram: &[u8]) -> Option<(TransactionId, Response)> {
    let (header, mut rest) = datagram.split_first_chunk::<HEADER>()?;
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if cookie != MAGIC_COOKIE || length != rest.len() || length % 4 != 0 {
        return None;
    }
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&header[8..]);
    match kind {
        BINDING_ERROR => return Some((transaction, Response::Error)),
        BINDING_SUCCESS => {}
        _ => return None,
    }
    let mut mapped = None;
    while let Some((&[t0, t1, l0, l1], body)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = body.get(..length)?;
        rest = body.get(length.next_multiple_of(4)..)?;
        match u16::from_be_bytes([t0, t1]) {
            XOR_MAPPED_ADDRESS => return Some((transaction, Response::Mapped(address(value, Some(&transaction))?))),
            MAPPED_ADDRESS => mapped = mapped.or(address(value, None)),
            _ => {}
        }
    }
    mapped.map(|address| (transaction, Response::Mapped(address)))
}

/// RFC 8489 §14.1 and §14.2: port and address, in the second form under the magic cookie and the transaction id.
fn address(value: &[u8], xor: Option<&TransactionId>) -> Option<SocketAddr> {
    let (&[_, family, p0, p1], ip) = value.split_first_chunk::<4>()?;
    let mut mask = [0; 16];
    if let Some(transaction) = xor {
        mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        mask[4..].copy_from_slice(transaction);
    }
    let port = u16::from_be_bytes([p0 ^ mask[0], p1 ^ mask[1]]);
    let ip = match family {
        1 => {
            let mut ip = <[u8; 4]>::try_from(ip).ok()?;
            ip.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            IpAddr::V4(Ipv4Addr::from(ip))
        }
        2 => {
            let mut ip = <[u8; 16]>::try_from(ip).ok()?;
            ip.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            IpAddr::V6(Ipv6Addr::from(ip))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// NAT mappings are assumed to live 30 s, whatever RFC 4787 asks for.
const REFRESH: Micros = 25 * SECOND;
const RETRY: Micros = SECOND;
/// A server that was silent this often is asked at the slow pace: it costs what a refresh costs.
const FAST_TRIES: u32 = 20;
/// Requests unanswered in a row that void the mapping.
const LOST: u32 = 3;

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    transaction: TransactionId,
    unanswered: u32,
    next_at: Micros,
    mapped: Option<SocketAddr>,
}

/// Keeps asking every server. Requests to send come out of [`Client::tick`].
#[derive(Debug)]
pub struct Client {
    servers: Vec<Server>,
    draw: fn() -> TransactionId,
}

impl Client {
    pub fn new(draw: fn() -> TransactionId) -> Self {
        Self { servers: Vec::new(), draw }
    }

    /// Replaces the servers; those that stay keep what they answered.
    pub fn set_servers(&mut self, addresses: &[SocketAddr], now: Micros) {
        self.servers.retain(|server| addresses.contains(&server.address));
        for &address in addresses {
            if !self.servers.iter().any(|server| server.address == address) {
                let transaction = (self.draw)();
                self.servers.push(Server { address, transaction, unanswered: 0, next_at: now, mapped: None });
            }
        }
    }

    /// Asks everybody anew: the node's own addresses changed.
    pub fn hurry(&mut self, now: Micros) {
        for server in &mut self.servers {
            server.unanswered = 0;
            server.next_at = now;
        }
    }

    pub fn is_server(&self, address: SocketAddr) -> bool {
        self.servers.iter().any(|server| server.address == address)
    }

    /// (server, mapped address) of every server that answers.
    pub fn mapped(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> + '_ {
        self.servers.iter().filter_map(|server| Some((server.address, server.mapped?)))
    }

    pub fn deadline(&self) -> Option<Micros> {
        self.servers.iter().map(|server| server.next_at).min()
    }

    /// Requests that are due. True when a mapping was given up.
    pub fn tick(&mut self, now: Micros, mut send: impl FnMut(SocketAddr, &[u8])) -> bool {
        let mut changed = false;
        for server in self.servers.iter_mut().filter(|server| server.next_at <= now) {
            if server.unanswered >= LOST && server.mapped.take().is_some() {
                changed = true;
            }
            server.transaction = (self.draw)();
            server.unanswered += 1;
            server.next_at = now + if server.unanswered > FAST_TRIES { REFRESH } else { RETRY };
            send(server.address, &request(server.transaction));
        }
        changed
    }

    /// A datagram that looked like STUN. True when a mapping is new or another than before.
    pub fn received(&mut self, from: SocketAddr, datagram: &[u8], now: Micros) -> bool {
        let Some((transaction, response)) = decode(datagram) else { return false };
        let Some(server) = self.servers.iter_mut().find(|server| server.address == from) else { return false };
        let Response::Mapped(mapped) = response else { return false };
        if server.transaction != transaction || server.unanswered == 0 {
            return false;
        }
        server.unanswered = 0;
        server.next_at = now + REFRESH;
        let mapped = SocketAddr::new(mapped.ip().to_canonical(), mapped.port());
        server.mapped.replace(mapped) != Some(mapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 16).unwrap()).collect()
    }

    /// The sample responses of RFC 5769 §2.2 and §2.3, with SOFTWARE, MESSAGE-INTEGRITY and FINGERPRINT.
    const IPV4: &str = "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
        00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";
    const IPV6: &str = "01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
        00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275
        bfe3ed41 80280004 c8fb0b4c";
    const TRANSACTION: &str = "b7e7a701 bc34d686 fa87dfae";

    fn mapped(hex: &str) -> SocketAddr {
        match decode(&bytes(hex)) {
            Some((transaction, Response::Mapped(address))) if transaction[..] == bytes(TRANSACTION) => address,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sample_responses_of_the_rfc_give_their_addresses() {
        assert_eq!(mapped(IPV4), "192.0.2.1:32853".parse().unwrap());
        assert_eq!(mapped(IPV6), "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap());
    }

    #[test]
    fn a_plain_mapped_address_of_an_old_server_is_taken_too() {
        let old = "0101000c 2112a442 b7e7a701 bc34d686 fa87dfae 00010008 00018055 c0000201";
        assert_eq!(mapped(old), "192.0.2.1:32853".parse().unwrap());
    }

    #[test]
    fn a_response_cut_at_any_length_is_refused() {
        for sample in [IPV4, IPV6] {
            let whole = bytes(sample);
            for length in 0..whole.len() {
                assert_eq!(decode(&whole[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn whatever_bytes_are_flipped_nothing_panics() {
        let whole = bytes(IPV6);
        for index in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = whole.clone();
                broken[index] = value;
                decode(&broken);
            }
        }
    }

    #[test]
    fn a_request_is_a_header_without_attributes() {
        let mut id = [0; 12];
        id.copy_from_slice(&bytes(TRANSACTION));
        assert_eq!(request(id).to_vec(), bytes("00010000 2112a442 b7e7a701 bc34d686 fa87dfae"));
    }

    const SERVER: &str = "198.51.100.10:3478";

    fn answer(request: &[u8], port: u16) -> Vec<u8> {
        let mut out = bytes("0101000c 2112a442 000000000000000000000000 00200008 0001");
        out[8..20].copy_from_slice(&request[8..20]);
        out.extend_from_slice(&(port ^ 0x2112).to_be_bytes());
        out.extend_from_slice(&bytes("e112a643"));
        out
    }

    fn client() -> Client {
        let mut client = Client::new(|| [7; 12]);
        client.set_servers(&[SERVER.parse().unwrap()], 0);
        client
    }

    fn due(client: &mut Client, now: Micros) -> Vec<Vec<u8>> {
        let mut sent = vec![];
        client.tick(now, |_, bytes| sent.push(bytes.to_vec()));
        sent
    }

    #[test]
    fn a_silent_server_is_asked_every_second_and_an_answering_one_every_25() {
        let mut client = client();
        let server = SERVER.parse().unwrap();
        assert_eq!(due(&mut client, 0).len(), 1);
        assert_eq!(due(&mut client, SECOND / 2).len(), 0);
        let request = due(&mut client, SECOND).remove(0);
        assert!(client.received(server, &answer(&request, 4000), SECOND));
        assert_eq!(client.mapped().collect::<Vec<_>>(), [(server, "192.0.2.1:4000".parse().unwrap())]);
        assert_eq!(client.deadline(), Some(26 * SECOND));
    }

    #[test]
    fn an_answer_that_was_not_asked_for_changes_nothing() {
        let mut client = client();
        let server: SocketAddr = SERVER.parse().unwrap();
        let request = due(&mut client, 0).remove(0);
        assert!(!client.received("198.51.100.11:3478".parse().unwrap(), &answer(&request, 4000), 1));
        assert!(!client.received(server, &answer(&[9; 20], 4000), 1));
        assert!(client.received(server, &answer(&request, 4000), 1));
        assert!(!client.received(server, &answer(&request, 4001), 2), "a second answer to one request");
    }

    #[test]
    fn a_mapping_whose_server_falls_silent_is_given_up_after_three_requests() {
        let mut client = client();
        let request = due(&mut client, 0).remove(0);
        client.received(SERVER.parse().unwrap(), &answer(&request, 4000), 0);
        for second in 25..28 {
            assert!(!client.tick(second * SECOND, |_, _| ()));
        }
        assert!(client.tick(28 * SECOND, |_, _| ()));
        assert_eq!(client.mapped().count(), 0);
    }
}
