//! What a node keeps about one peer: at most one session to seal with, the one before it, those that wait to be confirmed, its
//! own handshake, and the frames that wait.

use std::collections::VecDeque;

use super::cookie::Tag;
use super::fragment::Reassembler;
use super::keys::DirectionKey;
use super::noise::{Initiator, Split};
use super::replay::ReplayWindow;
use super::{Cipher, To};
use crate::time::{Micros, MILLISECOND, SECOND};
use crate::wire::{BootId, Label};

/// The side that initiated renews a session after this long, the other a little later, so that they do not meet.
pub const RENEW_INITIATOR: Micros = 120 * SECOND;
pub const RENEW_RESPONDER: Micros = 130 * SECOND;
/// No session is used beyond.
pub const SESSION_LIFE: Micros = 240 * SECOND;
/// Records under the old session are taken this long after the new one is confirmed.
pub const OVERLAP: Micros = 30 * SECOND;
/// A handshake is given up after this long, and a renewal tried anew.
pub const HANDSHAKE_LIFE: Micros = 10 * SECOND;
pub const QUEUE_MAX: usize = 64;

// Ours, not the protocol's:
/// Sessions of one peer that wait for their confirmation. A replayed initiation makes one, and the oldest gives way: so many
/// replays do not come within a round trip before the cookies begin.
pub const UNCONFIRMED_MAX: usize = 16;
/// Earlier boot ids of a peer that are remembered: they never come back, only replays have them.
pub const RETIRED_MAX: usize = 8;
/// How long one waits: a retry of the initiation must still find it.
pub const UNCONFIRMED_LIFE: Micros = 15 * SECOND;
/// The confirmation is sent again after these pauses until the peer was heard.
const CONFIRM_AGAIN: [Micros; 3] = [250 * MILLISECOND, 500 * MILLISECOND, SECOND];
/// Cookies one initiation reacts to.
pub const COOKIES_MAX: u8 = 3;

pub struct Session {
    pub label: Label,
    /// Our receiver index.
    pub index: u32,
    /// The peer's.
    pub remote: u32,
    pub cipher: Cipher,
    pub initiator: bool,
    pub seal_key: DirectionKey,
    pub open_key: DirectionKey,
    pub send_counter: u64,
    pub window: ReplayWindow,
    pub born: Micros,
    pub last_used: Micros,
    pub renew_at: Micros,
    /// Nobody used it since it was made or renewed: it is not renewed unless somebody does.
    pub dormant: bool,
    /// A record under it was opened.
    pub heard: bool,
    pub boot_id: BootId,
    /// The initiator's ephemeral key, by which a copy of the initiation is known.
    pub ephemeral: [u8; 32],
    pub reassembler: Reassembler,
}

/// What a handshake ends with.
pub struct Beginning {
    pub label: Label,
    pub boot_id: BootId,
    pub index: u32,
    pub remote: u32,
    pub cipher: Cipher,
    pub split: Split,
    pub initiator: bool,
    pub ephemeral: [u8; 32],
    pub now: Micros,
}

impl Beginning {
    pub fn session(self) -> Option<Session> {
        let Beginning { label, boot_id, index, remote, cipher, split, initiator, ephemeral, now } = self;
        let (seal, open) = if initiator { (split.k1, split.k2) } else { (split.k2, split.k1) };
        Some(Session {
            label,
            index,
            remote,
            cipher,
            initiator,
            seal_key: DirectionKey::new(&seal, cipher)?,
            open_key: DirectionKey::new(&open, cipher)?,
            send_counter: 0,
            window: ReplayWindow::new(),
            born: now,
            last_used: now,
            renew_at: now + if initiator { RENEW_INITIATOR } else { RENEW_RESPONDER },
            dormant: false,
            heard: false,
            boot_id,
            ephemeral,
            reassembler: Reassembler::default(),
        })
    }
}

impl Session {
    pub fn dies_at(&self) -> Micros {
        self.born + SESSION_LIFE
    }
}

/// A session we answered, until a record under it opens.
pub struct Unconfirmed {
    pub slot: usize,
    pub until: Micros,
    /// Where the initiation came from, and so the response goes.
    pub to: To,
    pub initiation: Vec<u8>,
    pub response: Vec<u8>,
}

/// Our own initiation.
pub struct Pending {
    pub index: u32,
    pub noise: Initiator,
    pub ephemeral: [u8; 32],
    /// The session key it was made for.
    pub peer_key: [u8; 32],
    /// The record without mac2.
    pub record: Vec<u8>,
    pub since: Micros,
    pub sent_at: Micros,
    pub next_at: Micros,
    pub tries: u32,
    /// Gave way once to the peer's initiation (glare); not twice, or replays could hold us up for ever.
    pub yielded: bool,
    pub cookies: u8,
}

impl Pending {
    /// Retry after 250 ms, 500 ms, then every 1 s.
    pub fn pause(tries: u32) -> Micros {
        match tries {
            0 | 1 => 250 * MILLISECOND,
            2 => 500 * MILLISECOND,
            _ => SECOND,
        }
    }
}

/// The initiator's confirmations still to be sent.
pub struct Confirming {
    pub to: To,
    pub sent: usize,
    pub next_at: Micros,
}

impl Confirming {
    pub fn first(to: To, now: Micros) -> Self {
        let [pause, ..] = CONFIRM_AGAIN;
        Confirming { to, sent: 0, next_at: now + pause }
    }

    /// After another was sent; nothing when that was the last.
    pub fn again(self, now: Micros) -> Option<Self> {
        let sent = self.sent + 1;
        CONFIRM_AGAIN.get(sent).map(|pause| Confirming { to: self.to, sent, next_at: now + pause })
    }
}

#[derive(Default)]
pub struct Peer {
    /// The session records are sealed with.
    pub current: Option<usize>,
    /// The one before it, only to open with, and until when.
    pub previous: Option<(usize, Micros)>,
    pub unconfirmed: Vec<Unconfirmed>,
    pub pending: Option<Pending>,
    pub confirming: Option<Confirming>,
    pub queue: VecDeque<(u8, Vec<u8>)>,
    /// Of the last confirmed session; kept when the sessions end, so that a restart is noticed.
    pub boot_id: Option<BootId>,
    /// Boot ids it had before.
    pub retired: VecDeque<BootId>,
    pub cookie: Option<(Tag, Micros)>,
    /// When a notice last made us begin a handshake.
    pub noticed_at: Option<Micros>,
    pub fragment_id: u16,
    /// Its entry in the timers.
    pub due: Option<Micros>,
}
