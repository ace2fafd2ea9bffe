//! The command line, and the line a client says what it will send with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::datagram::{Row, LARGEST};

#[derive(Debug, PartialEq)]
pub enum Command {
    Serve { port: u16 },
    Tcp { to: SocketAddr, seed: u64, bytes: u64, common: Common },
    Udp { to: SocketAddr, row: Row, common: Common },
}

#[derive(Debug, PartialEq)]
pub struct Common {
    /// Mbit/s at most, of datagrams with their headers. None: as fast as it goes.
    pub mbps: Option<f64>,
    pub header: Option<Header>,
    /// Without a sign of the other end for so long, the transfer has failed.
    pub patience: Duration,
}

/// What each packet has besides its plain IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// IPv4 options (RFC 791 §3.1), as long as they may be.
    RecordRoute,
    Timestamp,
    /// IPv6 extension headers (RFC 8200 §4.6, §4.3).
    DestinationOptions,
    HopByHop,
}

/// Of datagrams, which have nobody to slow them down, unless another pace is given.
const DATAGRAMS_MBPS: f64 = 200.0;

const HEADERS: [(&str, Header); 4] = [
    ("record-route", Header::RecordRoute),
    ("timestamp", Header::Timestamp),
    ("destination-options", Header::DestinationOptions),
    ("hop-by-hop", Header::HopByHop),
];

pub const USAGE: &str = "usage: transfer serve PORT
       transfer tcp to=ADDRESS:PORT bytes=N [mbps=N] [seed=N] [header=NAME] [patience=SECONDS]
       transfer udp to=ADDRESS:PORT count=N [least=BYTES] [most=BYTES] [mbps=N] [seed=N] [header=NAME] [patience=SECONDS]
header: record-route, timestamp (IPv4), destination-options, hop-by-hop (IPv6)";

pub fn parse(arguments: &[String]) -> Result<Command, String> {
    let (verb, rest) = arguments.split_first().ok_or("what to do is missing")?;
    if verb == "serve" {
        let [port] = rest else { return Err("serve takes a port".into()) };
        return Ok(Command::Serve { port: number(port, 1, u64::from(u16::MAX))? as u16 });
    }
    let udp = match verb.as_str() {
        "tcp" => false,
        "udp" => true,
        _ => return Err(format!("{verb:?}: there are serve, tcp and udp")),
    };
    let mut to: Option<SocketAddr> = None;
    let (mut bytes, mut count, mut seed) = (None, None, 1);
    let (mut least, mut most) = (1, LARGEST);
    let mbps = udp.then_some(DATAGRAMS_MBPS);
    let mut common = Common { mbps, header: None, patience: Duration::from_secs(60) };
    for argument in rest {
        let (key, text) = argument.split_once('=').ok_or(format!("{argument:?} is not of the form KEY=VALUE"))?;
        let within = |low, high| number(text, low, high).map_err(|error| format!("{key}: {error}"));
        match (key, udp) {
            ("to", _) => to = Some(text.parse().map_err(|_| format!("to: {text:?} is not of the form ADDRESS:PORT"))?),
            ("mbps", _) => common.mbps = Some(within(1, 100_000)? as f64),
            ("seed", _) => seed = within(0, u64::MAX)?,
            ("patience", _) => common.patience = Duration::from_secs(within(1, 3_600)?),
            ("header", _) => {
                let named = HEADERS.iter().find(|(name, _)| *name == text);
                common.header = Some(named.ok_or(format!("header: {text:?} is none of them"))?.1);
            }
            ("bytes", false) => bytes = Some(within(1, u64::MAX)?),
            ("count", true) => count = Some(within(1, 1 << 32)?),
            ("least", true) => least = within(1, LARGEST as u64)? as usize,
            ("most", true) => most = within(1, LARGEST as u64)? as usize,
            _ => return Err(format!("{key:?} is no key of {verb}")),
        }
    }
    let to = to.ok_or("to is missing")?;
    match (common.header, to.ip()) {
        (Some(Header::RecordRoute | Header::Timestamp), IpAddr::V6(_)) => {
            return Err(format!("header: {} has no options of IPv4", to.ip()))
        }
        (Some(Header::DestinationOptions | Header::HopByHop), IpAddr::V4(_)) => {
            return Err(format!("header: {} has no extension headers of IPv6", to.ip()))
        }
        _ => {}
    }
    if udp {
        if least > most {
            return Err(format!("least={least} is more than most={most}"));
        }
        let row = Row { seed, count: count.ok_or("count is missing")?, least, most };
        Ok(Command::Udp { to, row, common })
    } else {
        Ok(Command::Tcp { to, seed, bytes: bytes.ok_or("bytes is missing")?, common })
    }
}

fn number(text: &str, low: u64, high: u64) -> Result<u64, String> {
    let value = text.parse().ok().filter(|value| (low..=high).contains(value));
    value.ok_or(format!("{text:?}: a whole number from {low} to {high}"))
}

/// What a client is about to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    /// Seed of the bytes that follow on the connection.
    Tcp(u64),
    Udp(Row),
}

impl Announcement {
    /// One line, without its end.
    pub fn line(&self) -> String {
        match self {
            Self::Tcp(seed) => format!("tcp {seed}"),
            Self::Udp(Row { seed, count, least, most }) => format!("udp {seed} {count} {least} {most}"),
        }
    }

    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let numbers: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        match (kind, numbers.as_slice()) {
            ("tcp", &[seed]) => Some(Self::Tcp(seed)),
            ("udp", &[seed, count, least, most]) => {
                let sizes = 1..=LARGEST as u64;
                let valid = count <= 1 << 32 && sizes.contains(&least) && sizes.contains(&most) && least <= most;
                valid.then_some(Self::Udp(Row { seed, count, least: least as usize, most: most as usize }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_transfer_has_defaults_for_all_but_where_to_and_how_much() {
        let common = |mbps| Common { mbps, header: None, patience: Duration::from_secs(60) };
        let to: SocketAddr = "10.45.0.2:7001".parse().unwrap();
        assert_eq!(
            parsed("tcp to=10.45.0.2:7001 bytes=5"),
            Ok(Command::Tcp { to, seed: 1, bytes: 5, common: common(None) })
        );
        let row = Row { seed: 1, count: 9, least: 1, most: LARGEST };
        assert_eq!(parsed("udp to=10.45.0.2:7001 count=9"), Ok(Command::Udp { to, row, common: common(Some(200.0)) }));
        assert_eq!(parsed("serve 7001"), Ok(Command::Serve { port: 7001 }));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, words) in [
            ("", "what to do is missing"),
            ("take", "\"take\": there are"),
            ("serve", "serve takes a port"),
            ("tcp bytes=1", "to is missing"),
            ("tcp to=10.45.0.2:7001", "bytes is missing"),
            ("udp to=10.45.0.2:7001", "count is missing"),
            ("udp to=10.45.0.2:7001 count=1 bytes=1", "\"bytes\" is no key of udp"),
            ("udp to=10.45.0.2:7001 count=1 most=65508", "most: \"65508\": a whole number from 1 to 65507"),
            ("udp to=10.45.0.2:7001 count=1 least=9 most=8", "least=9 is more than most=8"),
            ("tcp to=10.45.0.2 bytes=1", "is not of the form ADDRESS:PORT"),
            ("tcp to=10.45.0.2:7001 bytes=1 header=record", "is none of them"),
            ("tcp to=10.45.0.2:7001 bytes=1 header=hop-by-hop", "no extension headers"),
            ("tcp to=[fd00::1]:7001 bytes=1 header=timestamp", "no options of IPv4"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(words), "{line:?}: {error}");
        }
    }

    #[test]
    fn an_announcement_is_read_as_it_was_written() {
        for one in [Announcement::Tcp(7), Announcement::Udp(Row { seed: 7, count: 9, least: 1, most: 100 })] {
            assert_eq!(Announcement::parse(&one.line()), Some(one));
        }
        for line in ["", "tcp", "tcp x", "tcp 1 2", "udp 1 2 3", "udp 1 2 0 3", "udp 1 2 3 2", "udp 1 2 3 65508"] {
            assert_eq!(Announcement::parse(line), None, "{line:?}");
        }
    }
}
