//! Sessions: end to end, one per pair of nodes that exchange frames, adjacent or not (wire.md §4.2, §5, §6.2).
//!
//! Pure: bytes and the time come in, bytes and [`Action`]s go out; randomness is injected. [`Sessions`] is all a node has:
//!
//! - membership: [`Sessions::add_member`], [`Sessions::forget`], [`Sessions::set_revocations`], [`Sessions::member`],
//!   [`Sessions::source_mac_verdict`], [`Sessions::may_use`];
//! - outgoing: [`Sessions::seal`] or [`Sessions::sealer`] (look up once, seal many); when they say [`NoSession`],
//!   [`Sessions::queue`] keeps the plaintext, begins a handshake and gives it back in [`Action::Flush`];
//! - incoming: [`Sessions::open`], [`Sessions::reassemble`], [`Sessions::handshake`], [`Sessions::cookie`],
//!   [`Sessions::notice_unknown_index`]; after an `open` that says `confirmed`, [`Sessions::take_actions`];
//! - time: [`Sessions::deadline`], [`Sessions::tick`].

mod clock;
mod cookie;
mod establish;
pub mod fragment;
mod handshake;
pub mod keys;
mod membership;
pub mod noise;
mod peer;
mod prefixes;
mod random;
mod replay;
mod table;
mod timers;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::{Micros, MILLISECOND};
use crate::wire::record::CONTROL;
use crate::wire::sealed::{SessionHeader, SEAL_OVERHEAD, SESSION_HEADER};
use crate::wire::{BootId, Certificate, Label, LabelMap, Mac, NodeId, Parameters, Revocations, Verified};

use clock::Clock;
use cookie::Gate;
use keys::COUNTER_END;
use membership::Membership;
use noise::Noise;
use peer::{Peer, Session, QUEUE_MAX};
use table::Table;
use timers::Timers;

pub use membership::Member;
pub use random::{Random, SystemRandom};
pub use types::{Action, Added, Change, Cipher, LostReason, NoSession, Now, Opened, Origin, Refusal, To, Verdict};

/// Who this node is.
pub struct Local {
    session_private: [u8; 32],
    session_public: [u8; 32],
    certificate: Verified<Certificate>,
    parameters: Verified<Parameters>,
    boot_id: BootId,
    ciphers: Vec<Cipher>,
}

impl Local {
    /// Checks that key, certificate and parameters belong together. `ciphers`: our own order, see [`keys::preferred_ciphers`].
    pub fn new(
        session_private: [u8; 32],
        certificate: &[u8],
        parameters: &[u8],
        boot_id: BootId,
        ciphers: Vec<Cipher>,
    ) -> Result<Self, Refusal> {
        let parameters = Parameters::verify(parameters)?;
        let certificate = Certificate::verify(certificate, &parameters.authority_key)?;
        let session_public = noise::public_key(&session_private).ok_or(Refusal::KeyMismatch)?;
        if session_public != certificate.session_key {
            return Err(Refusal::KeyMismatch);
        }
        Ok(Local { session_private, session_public, certificate, parameters, boot_id, ciphers })
    }

    pub fn certificate(&self) -> &Verified<Certificate> {
        &self.certificate
    }

    pub fn parameters(&self) -> &Verified<Parameters> {
        &self.parameters
    }
}

/// What status shows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    pub cipher: Cipher,
    pub since: Micros,
    pub initiator: bool,
}

pub struct Sessions {
    parameters: Verified<Parameters>,
    boot_id: BootId,
    ciphers: Vec<Cipher>,
    noise: Noise,
    mac1_key: ring::hmac::Key,
    gate: Gate,
    random: Box<dyn Random>,
    membership: Membership,
    clock: Clock,
    peers: LabelMap<Peer>,
    table: Table,
    timers: Timers,
    actions: Vec<Action>,
    refusals: Refusals,
}

#[derive(Default)]
struct Refusals(BTreeMap<&'static str, u64>);

impl Refusals {
    fn add(&mut self, refusal: Refusal) {
        *self.0.entry(refusal.name()).or_default() += 1;
    }
}

impl Sessions {
    pub fn new(local: Local, mut random: Box<dyn Random>, now: Now) -> Self {
        let Local { session_private, session_public, certificate, parameters, boot_id, ciphers } = local;
        let gate = Gate::new(random.as_mut(), now.us);
        let mut sessions = Sessions {
            noise: Noise::new(session_private, parameters.overlay),
            mac1_key: cookie::mac1_key(&session_public),
            membership: Membership::new(parameters.authority_key, certificate, parameters.issued),
            clock: Clock::default(),
            parameters,
            boot_id,
            ciphers,
            gate,
            random,
            peers: LabelMap::default(),
            table: Table::default(),
            timers: Timers::new(now.us),
            actions: Vec::new(),
            refusals: Refusals::default(),
        };
        // As long as it can be right, the clock is remembered: it may jump later.
        sessions.time(now);
        sessions
    }

    // --- membership ---

    /// A renewed certificate of this node, or newer parameters; another identity or session key is another `Sessions`.
    pub fn update_local(&mut self, local: Local) -> Result<(), Refusal> {
        let own = self.membership.own();
        let same_node = own.identity_key == local.certificate.identity_key && own.overlay == local.certificate.overlay;
        if !same_node || own.session_key != local.certificate.session_key {
            return Err(Refusal::KeyMismatch);
        }
        self.membership.set_own(local.certificate, local.parameters.issued);
        self.parameters = local.parameters;
        Ok(())
    }

    pub fn label(&self) -> Label {
        self.membership.own_label()
    }

    pub fn certificate(&self) -> &Verified<Certificate> {
        self.membership.own()
    }

    pub fn parameters(&self) -> &Verified<Parameters> {
        &self.parameters
    }

    /// Takes a certificate from the agent or from gossip; `change` tells whether to pass it on.
    pub fn add_member(&mut self, raw: &[u8], now: Now) -> Result<Added, Refusal> {
        let time = self.time(now);
        let admission = self.membership.admit(raw, time)?;
        for label in admission.displaced {
            self.displace(label, raw);
        }
        if admission.rekeyed {
            self.end_sessions(admission.label, LostReason::Rekeyed);
        }
        Ok(Added { label: admission.label, change: admission.change, actions: self.take_actions() })
    }

    /// Whether this is the very certificate that a member is known by: it costs no signature to take it again.
    pub fn knows(&self, raw: &[u8]) -> bool {
        Certificate::decode(raw)
            .ok()
            .and_then(|claimed| self.membership.get(claimed.label()))
            .is_some_and(|member| member.certificate.raw() == raw)
    }

    /// The time by which certificates are judged.
    pub(in crate::session) fn time(&mut self, now: Now) -> u64 {
        self.clock.seconds(now, self.membership.frame())
    }

    /// The agent's word on it, for a machine whose clock cannot be right.
    pub fn tell_time(&mut self, unix: u64, now: Now) {
        self.clock.tell(unix, now);
    }

    pub fn forget(&mut self, label: Label) -> Vec<Action> {
        if self.membership.remove(label).is_some() {
            self.end_member(label, LostReason::Forgotten);
        }
        self.take_actions()
    }

    /// Whether `set_revocations` would take this list: nobody is revoked by it yet.
    pub fn check_revocations(&mut self, raw: &[u8]) -> Result<(), Refusal> {
        self.membership.newer_list(raw).map(drop)
    }

    /// Takes a list with a higher serial than the one known: pass it on then.
    pub fn set_revocations(&mut self, raw: &[u8]) -> Result<Vec<Action>, Refusal> {
        for label in self.membership.revoke(raw)? {
            self.end_member(label, LostReason::Revoked);
        }
        Ok(self.take_actions())
    }

    pub fn revocations(&self) -> Option<&Verified<Revocations>> {
        self.membership.revocations()
    }

    pub fn member(&self, label: Label) -> Option<&Member> {
        self.membership.get(label)
    }

    pub fn member_by_id(&self, id: &NodeId) -> Option<&Member> {
        self.membership.get(id.label()).filter(|member| member.node_id == *id)
    }

    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.membership.iter()
    }

    /// The MAC rule (wire.md §3) on the source MAC of a frame from `label`.
    pub fn source_mac_verdict(&self, label: Label, mac: &Mac) -> Verdict {
        if mac.is_group() {
            return Verdict::Refused;
        }
        if !mac.is_ruled() {
            return Verdict::Foreign;
        }
        match self.membership.get(label) {
            Some(member) if member.certificate.macs.iter().any(|rule| rule.matches(mac)) => Verdict::Allowed,
            _ => Verdict::Refused,
        }
    }

    /// Whether a frame from `label` may say that it comes from this address: it is the node's own, in a prefix behind it, or nobody's.
    pub fn may_use(&self, label: Label, address: IpAddr) -> bool {
        self.membership.may_use(label, address)
    }

    // --- outgoing ---

    /// Whether records can be sealed for `label` now.
    pub fn usable(&self, label: Label, now: Now) -> bool {
        self.current(label).is_some_and(|session| session.usable(now.us))
    }

    pub fn state(&self, label: Label) -> Option<SessionState> {
        let session = self.current(label)?;
        Some(SessionState { cipher: session.cipher, since: session.born, initiator: session.initiator })
    }

    /// Seals in place. `record` is 16 bytes of room, the plaintext, 16 bytes of room; returns the counter used.
    pub fn seal(&mut self, label: Label, record_type: u8, record: &mut [u8], now: Now) -> Result<u64, NoSession> {
        self.sealer(label, now)?.seal(record_type, record)
    }

    /// Looks the session up once, to seal many records for one label.
    pub fn sealer(&mut self, label: Label, now: Now) -> Result<Sealer<'_>, NoSession> {
        let slot = self.peers.get(&label).and_then(|peer| peer.current).ok_or(NoSession)?;
        let session = self.table.get_mut(slot).filter(|session| session.usable(now.us)).ok_or(NoSession)?;
        session.last_used = now.us;
        if session.dormant {
            session.wake(now.us);
            self.timers.set(label, &mut self.peers, now.us);
        }
        let session = self.table.get_mut(slot).ok_or(NoSession)?;
        Ok(Sealer { session })
    }

    /// Keeps a plaintext until there is a session, and begins one. At most 64 wait; the oldest gives way.
    pub fn queue(&mut self, label: Label, record_type: u8, plaintext: Vec<u8>, now: Now) -> Vec<Action> {
        if self.membership.get(label).is_none() {
            self.counted(Err(Refusal::NotMember));
            return Vec::new();
        }
        if self.usable(label, now) {
            return vec![Action::Flush { label, frames: vec![(record_type, plaintext)] }];
        }
        let queue = &mut self.peers.entry(label).or_default().queue;
        if queue.len() >= QUEUE_MAX {
            queue.pop_front();
        }
        queue.push_back((record_type, plaintext));
        self.begin(label, now);
        self.take_actions()
    }

    /// Begins a handshake unless there is a session. One that is pending shows its initiation again: who asks for a session once
    /// more has found another way to the peer, which need not wait for the next retry.
    pub fn start(&mut self, label: Label, now: Now) -> Vec<Action> {
        if !self.usable(label, now) {
            let pending = self.peers.get(&label).and_then(|peer| peer.pending.as_ref());
            match pending.map(|pending| now.us.saturating_sub(pending.sent_at)) {
                None => self.begin(label, now),
                Some(pause) if pause >= SHOW_AGAIN => self.send_initiation(label, None, now.us),
                Some(_) => {}
            }
        }
        self.take_actions()
    }

    /// Makes the session with a peer anew ahead of its time. The one in force serves until then; nothing happens while its successor
    /// is under way, which the peer may not have confirmed yet.
    pub fn renew_now(&mut self, label: Label, now: Now) -> Vec<Action> {
        if self.peers.get(&label).is_none_or(|peer| peer.confirming.is_none()) {
            self.begin(label, now);
        }
        self.take_actions()
    }

    /// For the next plaintext to `label` that must be cut.
    pub fn next_fragment_id(&mut self, label: Label) -> u16 {
        let peer = self.peers.entry(label).or_default();
        peer.fragment_id = peer.fragment_id.wrapping_add(1);
        peer.fragment_id
    }

    // --- incoming ---

    /// Opens a sealed record in place.
    pub fn open<'a>(&mut self, record: &'a mut [u8], now: Now) -> Result<Opened<'a>, Refusal> {
        let result = self.open_record(record, now);
        if let Err(refusal) = &result {
            self.refusals.add(*refusal);
        }
        result
    }

    fn open_record<'a>(&mut self, record: &'a mut [u8], now: Now) -> Result<Opened<'a>, Refusal> {
        let header = SessionHeader::decode(record)?;
        let Some(slot) = self.table.slot_of(header.receiver) else { return Err(self.stray(&header, record)) };
        let session = self.table.get_mut(slot).filter(|session| now.us < session.dies_at());
        let session = session.ok_or(Refusal::UnknownIndex)?;
        if header.counter >= COUNTER_END || !session.window.admits(header.counter) {
            return Err(Refusal::Replayed);
        }
        let plaintext = session.open_key.open(header.counter, record).ok_or(Refusal::NotAuthentic)?;
        session.window.mark(header.counter);
        let label = session.label;
        let first = !session.heard;
        session.heard = true;
        let mut reschedule = false;
        if !(header.record_type == CONTROL && *plaintext == CONFIRMATION) {
            session.last_used = now.us;
            if session.dormant {
                session.wake(now.us);
                reschedule = true;
            }
        }
        let confirmed = first && self.heard_first(slot, label, now);
        if first || reschedule {
            self.reschedule(label, now.us);
        }
        Ok(Opened {
            label,
            record_type: header.record_type,
            counter: header.counter,
            plaintext,
            session: header.receiver,
            confirmed,
        })
    }

    /// The lowest of these counters of a session, `to` not among them, by which nothing has come; None too if the session is gone.
    pub fn first_missing(&self, session: u32, from: u64, to: u64) -> Option<u64> {
        let session = self.table.get(self.table.slot_of(session)?)?;
        session.window.first_missing(from, to)
    }

    /// Joins fragments: takes the plaintext of a C4 that opened, gives type and plaintext of the record once it is whole.
    pub fn reassemble(&mut self, session: u32, plaintext: &[u8], now: Now) -> Result<Option<(u8, Vec<u8>)>, Refusal> {
        let slot = self.table.slot_of(session).ok_or(Refusal::UnknownIndex)?;
        let session = self.table.get_mut(slot).ok_or(Refusal::UnknownIndex)?;
        Ok(session.reassembler.push(plaintext, now.us)?)
    }

    /// Whose record a notice quotes: the peer it was sealed for, if it is a session header of ours within the last 8,192
    /// counters.
    pub fn quoted(&self, quote: &[u8; 16]) -> Option<Label> {
        self.quoted_session(quote).map(|session| session.label)
    }

    /// Actions that `open` left behind.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// How often what was refused, by the names of the reasons.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.refusals.0.iter().map(|(name, number)| (*name, *number))
    }

    // --- inside ---

    fn counted(&mut self, result: Result<(), Refusal>) {
        if let Err(refusal) = result {
            self.refusals.add(refusal);
        }
    }

    fn current(&self, label: Label) -> Option<&Session> {
        self.table.get(self.peers.get(&label)?.current?)
    }

    /// A record under an index that is none of ours. Whoever sends our own records back knows what stands in their headers, and so does
    /// whoever wants to keep us from telling a peer that it is not known: only the seal shows that we made it.
    fn stray(&self, header: &SessionHeader, record: &mut [u8]) -> Refusal {
        let session = self.table.slot_of_remote(header.receiver).and_then(|slot| self.table.get(slot));
        let sent = session.filter(|session| header.counter < session.send_counter);
        match sent.and_then(|session| session.seal_key.open(header.counter, record)) {
            Some(_) => Refusal::Reflected,
            None => Refusal::UnknownIndex,
        }
    }

    fn quoted_session(&self, quote: &[u8; 16]) -> Option<&Session> {
        let header = SessionHeader::decode_header(quote).ok()?;
        let session = self.table.get(self.table.slot_of_remote(header.receiver)?)?;
        let sent = session.send_counter;
        (header.counter < sent && sent - header.counter <= replay::WINDOW).then_some(session)
    }

    /// A sealed control record of channel 0.
    fn confirmation(&mut self, slot: usize) -> Option<Vec<u8>> {
        self.control_record(slot, &CONFIRMATION)
    }

    /// A whole control record; `plaintext` has to fit one.
    fn control_record(&mut self, slot: usize, plaintext: &[u8]) -> Option<Vec<u8>> {
        let mut record = vec![0; SEAL_OVERHEAD + plaintext.len()];
        record.get_mut(SESSION_HEADER..SESSION_HEADER + plaintext.len())?.copy_from_slice(plaintext);
        Sealer { session: self.table.get_mut(slot)? }.seal(CONTROL, &mut record).ok()?;
        Some(record)
    }
}

/// A pending initiation is not sent again sooner, however often it is asked for.
const SHOW_AGAIN: Micros = 100 * MILLISECOND;
/// Plaintext of control channel 0.
const CONFIRMATION: [u8; 2] = [0, 0];

/// Seals for one session.
pub struct Sealer<'a> {
    session: &'a mut Session,
}

impl Sealer<'_> {
    /// Seals in place, see [`Sessions::seal`]. Successive records of one sealer have successive counters.
    pub fn seal(&mut self, record_type: u8, record: &mut [u8]) -> Result<u64, NoSession> {
        let counter = self.session.send_counter;
        if counter >= COUNTER_END {
            return Err(NoSession);
        }
        let header = SessionHeader { record_type, receiver: self.session.remote, counter };
        // First, so that no counter comes twice whatever becomes of the record.
        self.session.send_counter += 1;
        self.session.seal_key.seal(header, record).ok_or(NoSession)?;
        Ok(counter)
    }

    pub fn cipher(&self) -> Cipher {
        self.session.cipher
    }
}
