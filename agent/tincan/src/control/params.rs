//! Parameters of every method. Unknown keys are errors, so that a misspelt one is noticed.

use std::fmt;
use std::net::SocketAddr;

use base64::prelude::{Engine, BASE64_STANDARD};
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::prefix::Prefix;
use crate::wire::{Label, NodeId};

/// Bytes that travel as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

/// Private keys travel as blobs: nothing may print them.
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 with padding")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
                // The text is not repeated in the error: it may be a key.
                BASE64_STANDARD.decode(text).map(Blob).map_err(|_| E::custom("not base64 with padding"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn node_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
    let text = String::deserialize(deserializer)?;
    NodeId::parse(&text).ok_or_else(|| D::Error::custom("a node id is 32 lower-case hex characters"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    pub client: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bridge {
    pub name: String,
    pub tap: String,
    /// Somebody else (Open vSwitch) makes the bridge, with a tap for each tunnel as its ports; the one `tap` is not made.
    #[serde(default)]
    pub per_tunnel: Option<PerTunnel>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerTunnel {
    /// A tap's name is this and the first hex digits of the neighbour's label.
    #[serde(deserialize_with = "tap_prefix")]
    pub prefix: String,
}

/// The rest of a name is digits of a label: as many as tell any two neighbours apart.
const TAP_PREFIX_MAX: usize = 7;

fn tap_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    if !first || text.len() > TAP_PREFIX_MAX || !text.bytes().all(plain) {
        return Err(D::Error::custom(format!(
            "a prefix of taps is a letter and at most {} letters, digits, '-' or '_'",
            TAP_PREFIX_MAX - 1
        )));
    }
    Ok(text)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpPort {
    /// 0: derived from the label (§8).
    pub port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Configure {
    pub session_key: Blob,
    pub certificate: Blob,
    pub parameters: Blob,
    pub bridge: Bridge,
    pub udp: UdpPort,
    pub stun: Vec<SocketAddr>,
    /// Interfaces of which nothing is offered and by which nothing is sent. Missing: none.
    #[serde(default, deserialize_with = "interfaces")]
    pub exclude_interfaces: Vec<String>,
    /// Prefixes within which no route is set, neither to members nor for our own. Missing: none.
    #[serde(default, deserialize_with = "excluded_routes")]
    pub exclude_routes: Vec<Prefix>,
}

/// As many as a node file may name.
const INTERFACES_MAX: usize = 64;

fn interfaces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    if names.len() > INTERFACES_MAX {
        return Err(D::Error::custom(format!(
            "excludeInterfaces has {} names, {INTERFACES_MAX} are allowed",
            names.len()
        )));
    }
    // What cannot be a link's name excludes nothing, and whoever wrote it believes that it does.
    let plain = |name: &str| !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    let good = |name: &&String| (1..=INTERFACE_NAME_MAX).contains(&name.len()) && plain(name);
    match names.iter().find(|name| !good(name)) {
        Some(name) => Err(D::Error::custom(format!(
            "excludeInterfaces: {name:?} is no name of an interface: 1 to {INTERFACE_NAME_MAX} bytes without '/', ':' or spaces"
        ))),
        None => Ok(names),
    }
}

const EXCLUDED_ROUTES_MAX: usize = 16;

fn excluded_routes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Prefix>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > EXCLUDED_ROUTES_MAX {
        return Err(D::Error::custom(format!(
            "excludeRoutes has {} prefixes, {EXCLUDED_ROUTES_MAX} are allowed",
            texts.len()
        )));
    }
    let wrong = |text: &String| D::Error::custom(format!("excludeRoutes: {text:?} is no network like 10.96.0.0/12"));
    texts.iter().map(|text| Prefix::parse(text).ok_or_else(|| wrong(text))).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    pub certificates: Vec<Blob>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    #[serde(deserialize_with = "node_id")]
    pub peer: NodeId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    pub list: Blob,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerNote {
    #[serde(deserialize_with = "node_id")]
    pub peer: NodeId,
    pub note: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerCandidates {
    #[serde(deserialize_with = "node_id")]
    pub peer: NodeId,
    pub candidates: Vec<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PeerWebrtc {
    #[serde(deserialize_with = "node_id")]
    pub peer: NodeId,
    pub up: bool,
    pub record_size: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    #[serde(deserialize_with = "node_id")]
    pub to: NodeId,
    /// JSON of §9.3; tincan does not look into it.
    pub body: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ping {
    #[serde(deserialize_with = "node_id")]
    pub to: NodeId,
    pub timeout_ms: u32,
}

/// Longer than any frame of a trace need be, and short enough for every path.
const TRACE_FRAME_MAX: u16 = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TraceWatch {
    #[serde(deserialize_with = "trace_number")]
    pub trace: u64,
    #[serde(deserialize_with = "label")]
    pub source: Label,
    #[serde(deserialize_with = "label")]
    pub destination: Label,
    /// Of the Ethernet frames, all of one length.
    #[serde(deserialize_with = "trace_frame_bytes")]
    pub frame_bytes: u16,
    pub for_ms: u32,
    /// The neighbour by which they come.
    #[serde(default, deserialize_with = "some_node_id")]
    pub came_by: Option<NodeId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceRead {
    #[serde(deserialize_with = "trace_number")]
    pub trace: u64,
}

fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
    let text = String::deserialize(deserializer)?;
    Label::parse(&text).ok_or_else(|| D::Error::custom("a label is 16 lower-case hex characters"))
}

fn trace_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    // Written as labels are.
    let number = Label::parse(&text).map(|label| label.0);
    number.ok_or_else(|| D::Error::custom("the number of a trace is 16 lower-case hex characters"))
}

fn some_node_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NodeId>, D::Error> {
    node_id(deserializer).map(Some)
}

fn trace_frame_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let bytes = u16::deserialize(deserializer)?;
    if bytes > TRACE_FRAME_MAX {
        return Err(D::Error::custom(format!("frameBytes must be at most {TRACE_FRAME_MAX}")));
    }
    Ok(bytes)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    pub keep_bridge: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Seconds since 1970.
    pub unix: u64,
}

/// What the node's own table of nftables is made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Firewall {
    /// Own prefixes: whose packets to the outside are masqueraded.
    #[serde(rename = "podCIDRs", deserialize_with = "prefixes")]
    pub pod_cidrs: Vec<Prefix>,
    /// What is inside, besides those.
    #[serde(rename = "overlayCIDRs", deserialize_with = "prefixes")]
    pub overlay_cidrs: Vec<Prefix>,
    /// How the names of the host ends of pods begin.
    #[serde(deserialize_with = "interface_prefix")]
    pub host_interface_prefix: String,
}

/// More than one node ever has; and the table's text stays within what a pipe takes at once.
const PREFIXES_MAX: usize = 64;
/// IFNAMSIZ without its zero.
const INTERFACE_NAME_MAX: usize = 15;
/// Something tells pods apart.
const INTERFACE_PREFIX_MAX: usize = INTERFACE_NAME_MAX - 1;

fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Prefix>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > PREFIXES_MAX {
        return Err(D::Error::custom(format!("more than {PREFIXES_MAX} prefixes")));
    }
    let prefix = |text: &String| Prefix::parse(text).ok_or_else(|| D::Error::custom("a prefix is like 10.244.1.0/24"));
    texts.iter().map(prefix).collect()
}

fn interface_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.is_empty() || text.len() > INTERFACE_PREFIX_MAX || !text.bytes().all(plain) {
        let message = format!("hostInterfacePrefix is 1 to {INTERFACE_PREFIX_MAX} letters, digits, '-' or '_'");
        return Err(D::Error::custom(message));
    }
    Ok(text)
}

#[derive(Debug)]
pub enum Method {
    Hello(Hello),
    Configure(Box<Configure>),
    Members(Members),
    Forget(Peer),
    Renew(Peer),
    Revocations(Revocations),
    Time(Time),
    TunnelAdd(PeerNote),
    TunnelDrain(Peer),
    TunnelRemove(Peer),
    TunnelNote(PeerNote),
    TunnelCandidates(PeerCandidates),
    TunnelWebrtc(PeerWebrtc),
    Tunnels,
    MembersList,
    Send(Send),
    Ping(Ping),
    Stats,
    Demand,
    TraceWatch(TraceWatch),
    TraceRead(TraceRead),
    /// None: no table any more.
    Firewall(Option<Firewall>),
    Shutdown(Shutdown),
}

impl Method {
    pub(super) fn parse(name: &str, params: Value) -> Result<Self, String> {
        Ok(match name {
            "hello" => Method::Hello(read(params)?),
            "configure" => Method::Configure(Box::new(read(params)?)),
            "members" => Method::Members(read(params)?),
            "forget" => Method::Forget(read(params)?),
            "renew" => Method::Renew(read(params)?),
            "revocations" => Method::Revocations(read(params)?),
            "time" => Method::Time(read(params)?),
            "tunnel-add" => Method::TunnelAdd(read(params)?),
            "tunnel-drain" => Method::TunnelDrain(read(params)?),
            "tunnel-remove" => Method::TunnelRemove(read(params)?),
            "tunnel-note" => Method::TunnelNote(read(params)?),
            "tunnel-candidates" => Method::TunnelCandidates(read(params)?),
            "tunnel-webrtc" => Method::TunnelWebrtc(read(params)?),
            "tunnels" => read::<Empty>(params).map(|_| Method::Tunnels)?,
            "members-list" => read::<Empty>(params).map(|_| Method::MembersList)?,
            "send" => Method::Send(read(params)?),
            "ping" => Method::Ping(read(params)?),
            "stats" => read::<Empty>(params).map(|_| Method::Stats)?,
            "demand" => read::<Empty>(params).map(|_| Method::Demand)?,
            "trace-watch" => Method::TraceWatch(read(params)?),
            "trace-read" => Method::TraceRead(read(params)?),
            "firewall" => Method::Firewall(read(params)?),
            "shutdown" => Method::Shutdown(read(params)?),
            _ => return Err(format!("unknown method {name:?}")),
        })
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, String> {
    serde_json::from_value(params).map_err(|error| format!("params: {error}"))
}
