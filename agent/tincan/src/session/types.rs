//! What goes into and comes out of the session layer.

use std::fmt;
use std::net::SocketAddr;

use crate::time::Micros;
use crate::wire::{DecodeError, Label};

/// The two clocks: `us` is monotonic and drives every timer, `unix` (seconds since 1970) only judges certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub us: Micros,
    pub unix: u64,
}

/// Where a record came from, so that an answer can go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A datagram without routing header.
    Direct(SocketAddr),
    /// A unit of a relay batch without routing header; the number of the tunnel port.
    Channel(u32),
    /// It had a routing header with this source label.
    Routed(Label),
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// By whatever route leads to this label: a proven path, or a routing header.
    Label(Label),
    /// Back where a record came from; never `Origin::Routed`.
    Origin(Origin),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a record (C1, C2, or C8 that confirms a session or says why it ends).
    Send { to: To, record: Vec<u8> },
    /// Records can be sealed for `label` from now on. `new_boot`: the peer's tincan started anew since the last session;
    /// `renewed`: there was a session until now.
    Established { label: Label, cipher: Cipher, new_boot: bool, renewed: bool },
    /// Frames that waited for the session: (record type, plaintext), in order. Comes right after `Established`.
    Flush { label: Label, frames: Vec<(u8, Vec<u8>)> },
    /// A handshake got no answer within 10 s and no older session is left; the waiting frames are gone.
    Unanswered { label: Label, dropped: usize },
    /// The last session with `label` ended.
    Lost { label: Label, reason: LostReason },
    /// `label` is no member any more; its sessions ended (`Lost` came before if there were any).
    MemberGone { label: Label, reason: LostReason },
    /// A certificate that was new or newer came in a handshake.
    MemberLearned { label: Label, raw: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// 240 s old and not renewed.
    Aged,
    /// The member's certificate expired.
    Expired,
    Revoked,
    /// Another certificate with a higher serial claims its address or label.
    Displaced,
    /// The agent said `forget`.
    Forgotten,
    /// The node's certificate names another session key now.
    Rekeyed,
}

/// AEAD of data records; the numbers are those of the overlay parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cipher {
    Aes128Gcm = 1,
    ChaCha20Poly1305 = 2,
}

impl Cipher {
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Cipher::Aes128Gcm),
            2 => Some(Cipher::ChaCha20Poly1305),
            _ => None,
        }
    }

    pub fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cipher::Aes128Gcm => "aes-128-gcm",
            Cipher::ChaCha20Poly1305 => "chacha20-poly1305",
        })
    }
}

/// A record that opened. `plaintext` lies inside the record's own buffer.
#[derive(Debug)]
pub struct Opened<'a> {
    pub label: Label,
    pub record_type: u8,
    pub counter: u64,
    pub plaintext: &'a mut [u8],
    /// Our receiver index: names the session for `reassemble` and for CONTINUES.
    pub session: u32,
    /// It confirmed a session: there are actions to take.
    pub confirmed: bool,
}

/// There is no session to seal with; `queue` the plaintext instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSession;

/// Why something from outside was dropped; each is one counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Malformed(DecodeError),
    /// No session has this receiver index: worth a notice of kind 3.
    UnknownIndex,
    /// A record of our own that came back: nobody is told, since nobody sent it to us.
    Reflected,
    /// Counter seen before, or older than the replay window.
    Replayed,
    /// The seal or the Noise message did not verify.
    NotAuthentic,
    /// mac1 was wrong: not meant for us, or noise.
    BadMac1,
    /// The signature is not by our overlay's authority, or the object is of another overlay.
    WrongAuthority,
    Expired,
    Revoked,
    /// An equal or newer one is known.
    Superseded,
    /// It is our own label.
    Ourselves,
    NotMember,
    /// The Noise static key is not the certificate's session key.
    KeyMismatch,
    NoCommonCipher,
    /// An initiation without a cookie while we are under load: it was answered with one.
    CookieAsked,
    /// One origin sent too many initiations while we are under load.
    Busy,
}

impl Refusal {
    /// The name of its counter, and the reason given to the agent.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Malformed(_) => "malformed",
            Refusal::UnknownIndex => "unknown-index",
            Refusal::Reflected => "reflected",
            Refusal::Replayed => "replayed",
            Refusal::NotAuthentic => "not-authentic",
            Refusal::BadMac1 => "bad-mac1",
            Refusal::WrongAuthority => "wrong-authority",
            Refusal::Expired => "expired",
            Refusal::Revoked => "revoked",
            Refusal::Superseded => "superseded",
            Refusal::Ourselves => "ourselves",
            Refusal::NotMember => "not-member",
            Refusal::KeyMismatch => "key-mismatch",
            Refusal::NoCommonCipher => "no-common-cipher",
            Refusal::CookieAsked => "cookie-asked",
            Refusal::Busy => "busy",
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Refusal::Malformed(error)
    }
}

/// What became of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub label: Label,
    pub change: Change,
    /// For members that this certificate displaced, or whose sessions it ended.
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    New,
    Renewed,
    /// Known already, byte for byte.
    Known,
}

/// The MAC rule's answer about a frame's source (wire.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A ruled MAC, and the sender's certificate has it.
    Allowed,
    /// Nobody's by rule: learn it with its source label.
    Foreign,
    Refused,
}
