//! mac1, mac2 and cookies (wire.md §5): a stranger costs us no curve operation, and under load no more than its own address is
//! worth.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use ring::digest::{Context, SHA256};
use ring::hmac;

use super::random::{draw, Random};
use super::Origin;
use crate::time::{Micros, SECOND};
use crate::wire::handshake::MAC_LENGTH;

/// More initiations than this in the current second are load.
const INITIATIONS_PER_SECOND: u32 = 50;
/// Of one origin that showed a cookie: address (not port), tunnel port or label.
const INITIATIONS_PER_ORIGIN: u32 = 10;
/// Cookies for one such origin: an initiation that somebody recorded has a right mac1 too, and a forged source would have us send
/// them to whomever it names.
const COOKIES_PER_ORIGIN: u32 = 10;
/// Origins remembered within a second; who comes later waits for the next one.
const ORIGINS_MAX: usize = 1024;
const SECRET_LIFE: Micros = 120 * SECOND;

pub type Tag = [u8; MAC_LENGTH];

/// First 16 bytes of HMAC-SHA256.
pub fn short_mac(key: &hmac::Key, message: &[u8]) -> Tag {
    let mut out = [0; MAC_LENGTH];
    for (to, from) in out.iter_mut().zip(hmac::sign(key, message).as_ref()) {
        *to = *from;
    }
    out
}

/// The key of mac1: whoever knows the responder's session key can make it.
pub fn mac1_key(responder: &[u8; 32]) -> hmac::Key {
    let mut hash = Context::new(&SHA256);
    hash.update(b"evio/1 mac1");
    hash.update(responder);
    hmac::Key::new(hmac::HMAC_SHA256, hash.finish().as_ref())
}

pub fn mac2(cookie: &Tag, before_mac2: &[u8]) -> Tag {
    short_mac(&hmac::Key::new(hmac::HMAC_SHA256, cookie), before_mac2)
}

/// In constant time: the difference is gathered over all bytes before it is looked at.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y))) == 0
}

/// 18 bytes that name where an initiation came from.
pub fn origin_bytes(origin: &Origin) -> [u8; 18] {
    let (address, port): ([u8; 16], u16) = match origin {
        Origin::Direct(SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped().octets(), v4.port()),
        Origin::Direct(v6) => match v6.ip() {
            IpAddr::V6(address) => (address.octets(), v6.port()),
            IpAddr::V4(address) => (address.to_ipv6_mapped().octets(), v6.port()),
        },
        // No address begins with ff01 (interface-local multicast), so a tunnel port cannot look like one.
        Origin::Channel(port) => ((0xff01_u128 << 112 | u128::from(*port)).to_be_bytes(), 0),
        // Zeros and the label as 18 bytes.
        Origin::Routed(label) => {
            let high = u128::from(label.0 >> 16);
            (high.to_be_bytes(), (label.0 & 0xffff) as u16)
        }
    };
    let mut out = [0; 18];
    for (to, from) in out.iter_mut().zip(address.iter().chain(&port.to_be_bytes())) {
        *to = *from;
    }
    out
}

/// How often something was done for each origin within the current second.
#[derive(Default)]
struct Origins(HashMap<[u8; 18], u32>);

impl Origins {
    /// Counts one more; whether that is within what each origin may have.
    fn take(&mut self, origin: &Origin, most: u32) -> bool {
        let host = match origin {
            Origin::Direct(address) => Origin::Direct(SocketAddr::new(address.ip(), 0)),
            other => *other,
        };
        let key = origin_bytes(&host);
        if self.0.len() >= ORIGINS_MAX && !self.0.contains_key(&key) {
            return false;
        }
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

/// The responder's side: how busy it is, and the secrets its cookies are made of.
pub struct Gate {
    second: u64,
    initiations: u32,
    origins: Origins,
    /// Those that were told a cookie.
    told: Origins,
    secret: hmac::Key,
    drawn_at: Micros,
    before: Option<hmac::Key>,
}

impl Gate {
    pub fn new(random: &mut dyn Random, now: Micros) -> Self {
        Gate {
            second: now / SECOND,
            initiations: 0,
            origins: Origins::default(),
            told: Origins::default(),
            secret: secret(random),
            drawn_at: now,
            before: None,
        }
    }

    /// Counts an initiation; whether it is one too many for this second.
    pub fn under_load(&mut self, now: Micros) -> bool {
        if self.second != now / SECOND {
            self.second = now / SECOND;
            self.initiations = 0;
            self.origins.0.clear();
            self.told.0.clear();
        }
        self.initiations = self.initiations.saturating_add(1);
        self.initiations > INITIATIONS_PER_SECOND
    }

    /// Counts an initiation that had a right cookie: it proves where it came from, so that origin has a share of its own.
    pub fn has_share(&mut self, origin: &Origin) -> bool {
        self.origins.take(origin, INITIATIONS_PER_ORIGIN)
    }

    /// Counts an initiation without a right cookie; whether it is answered by one.
    pub fn may_tell(&mut self, origin: &Origin) -> bool {
        self.told.take(origin, COOKIES_PER_ORIGIN)
    }

    pub fn cookie(&mut self, origin: &Origin, random: &mut dyn Random, now: Micros) -> Tag {
        self.renew(random, now);
        short_mac(&self.secret, &origin_bytes(origin))
    }

    /// Whether mac2 was made with a cookie of ours for this origin.
    pub fn knows(
        &mut self,
        origin: &Origin,
        before_mac2: &[u8],
        claimed: &[u8],
        random: &mut dyn Random,
        now: Micros,
    ) -> bool {
        self.renew(random, now);
        let name = origin_bytes(origin);
        [Some(&self.secret), self.before.as_ref()]
            .into_iter()
            .flatten()
            .any(|secret| equal(&mac2(&short_mac(secret, &name), before_mac2), claimed))
    }

    fn renew(&mut self, random: &mut dyn Random, now: Micros) {
        let age = now.saturating_sub(self.drawn_at);
        if age < SECRET_LIFE {
            return;
        }
        let old = std::mem::replace(&mut self.secret, secret(random));
        // A secret that was not asked for in time is no "latest" one any more.
        self.before = (age < 2 * SECRET_LIFE).then_some(old);
        self.drawn_at = now;
    }
}

fn secret(random: &mut dyn Random) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &draw::<32>(random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Label;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            self.0 += 1;
            out.fill(self.0);
        }
    }

    #[test]
    fn origins_have_different_names() {
        let origins = [
            Origin::Direct("10.0.0.1:5000".parse().unwrap()),
            Origin::Direct("10.0.0.1:5001".parse().unwrap()),
            Origin::Direct("[2001:db8::1]:5000".parse().unwrap()),
            Origin::Channel(16),
            Origin::Channel(17),
            Origin::Routed(Label(16)),
            Origin::Routed(Label(17 << 40)),
        ];
        for (i, a) in origins.iter().enumerate() {
            assert!(origins.iter().skip(i + 1).all(|b| origin_bytes(a) != origin_bytes(b)));
        }
        assert_eq!(origin_bytes(&Origin::Routed(Label(0x0102_0304_0506_0708)))[10..], [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_two_latest_secrets_count() {
        let mut random = Counting(0);
        let mut gate = Gate::new(&mut random, 0);
        let origin = Origin::Channel(1);
        let cookie = gate.cookie(&origin, &mut random, 0);
        let mac = mac2(&cookie, b"initiation");
        let mut knows = |at| gate.knows(&origin, b"initiation", &mac, &mut random, at);
        assert!(knows(119 * SECOND));
        assert!(knows(121 * SECOND));
        assert!(!knows(242 * SECOND));
    }

    #[test]
    fn the_fifty_first_initiation_of_a_second_is_load() {
        let mut gate = Gate::new(&mut Counting(0), 0);
        assert!((0..50).all(|_| !gate.under_load(0)));
        assert!(gate.under_load(SECOND - 1));
        assert!(!gate.under_load(SECOND));
    }

    #[test]
    fn an_origin_with_a_cookie_has_ten_initiations_a_second_whatever_its_port() {
        let mut gate = Gate::new(&mut Counting(0), 0);
        let from = |port: u16| Origin::Direct(SocketAddr::new([192, 0, 2, 1].into(), port));
        assert!((0..10).all(|i| gate.has_share(&from(i))));
        assert!(!gate.has_share(&from(99)));
        assert!(gate.has_share(&Origin::Channel(1)));
        gate.under_load(SECOND);
        assert!(gate.has_share(&from(1)));
    }

    #[test]
    fn an_origin_is_told_ten_cookies_a_second_and_ever_other_origins_are_told_no_more_than_so_many() {
        let mut gate = Gate::new(&mut Counting(0), 0);
        let from = |ip: u32, port: u16| Origin::Direct(SocketAddr::new(std::net::Ipv4Addr::from(ip).into(), port));
        assert_eq!((0..10_000).filter(|&port| gate.may_tell(&from(1, port))).count(), 10);
        assert_eq!((2..100_000).filter(|&ip| gate.may_tell(&from(ip, 9))).count(), ORIGINS_MAX - 1);
        // A cookie is no initiation: who shows one has its share all the same.
        assert!(gate.has_share(&from(1, 1)));
        gate.under_load(SECOND);
        assert!(gate.may_tell(&from(1, 1)));
    }
}
