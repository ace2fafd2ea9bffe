//! The handshake: initiation, response, cookie, glare, retries (wire.md §5).

use super::cookie::{self, equal, short_mac};
use super::peer::{Beginning, Pending, Unconfirmed, COOKIES_MAX, HANDSHAKE_LIFE, UNCONFIRMED_LIFE, UNCONFIRMED_MAX};
use super::random::draw;
use super::{Action, Change, Cipher, LostReason, Now, Origin, Refusal, Sessions, To};
use crate::time::{Micros, MILLISECOND, SECOND};
use crate::wire::handshake::{
    encode_initiation, encode_response, Cookie, Handshake, Initiation, InitiationPayload, Response, ResponsePayload,
    MAC_LENGTH,
};
use crate::wire::{BootId, Certificate, DecodeError, Label, NodeId};

/// A cookie is good as long as its secret is one of the two latest.
const COOKIE_LIFE: Micros = 120 * SECOND;
/// Our own initiation is not sent again to a peer that initiates sooner than this.
const GLARE_PAUSE: Micros = 50 * MILLISECOND;
const NOTICE_PAUSE: Micros = SECOND;

impl From<Origin> for To {
    /// The response of a routed initiation goes to the source label; else to the address or channel it came by.
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Routed(label) => To::Label(label),
            origin => To::Origin(origin),
        }
    }
}

/// Who stands behind a handshake message, proven.
struct Proven {
    label: Label,
    node_id: NodeId,
    boot_id: BootId,
}

impl Sessions {
    /// Takes a handshake record (C1). What is refused is counted.
    pub fn handshake(&mut self, record: &[u8], origin: Origin, now: Now) -> Vec<Action> {
        let result = match Handshake::decode(record) {
            Ok(Handshake::Initiation(initiation)) => self.initiation(&initiation, origin, now),
            Ok(Handshake::Response(response)) => self.response(&response, origin, now),
            Err(error) => Err(error.into()),
        };
        self.counted(result);
        self.take_actions()
    }

    /// Takes a cookie record (C2): the initiation goes out again with it.
    pub fn cookie(&mut self, record: &[u8], now: Now) -> Vec<Action> {
        let result = self.take_cookie(record, now);
        self.counted(result);
        self.take_actions()
    }

    fn take_cookie(&mut self, record: &[u8], now: Now) -> Result<(), Refusal> {
        let Cookie { receiver, cookie } = Cookie::decode(record)?;
        let label = self.table.pending(receiver).ok_or(Refusal::UnknownIndex)?;
        let peer = self.peers.get_mut(&label).ok_or(Refusal::UnknownIndex)?;
        let pending = peer.pending.as_mut().ok_or(Refusal::UnknownIndex)?;
        if pending.cookies >= COOKIES_MAX {
            return Err(Refusal::Replayed);
        }
        pending.cookies += 1;
        peer.cookie = Some((cookie, now.us));
        self.send_initiation(label, None, now.us);
        Ok(())
    }

    /// A peer does not know the session of a record of ours: begin anew, at most once a second. The old session stays, since
    /// anybody may have sent the notice.
    pub fn notice_unknown_index(&mut self, quote: &[u8; 16], now: Now) -> Vec<Action> {
        let quoted = self.quoted_session(quote).map(|session| (session.label, session.index));
        let Some((label, index)) = quoted else { return Vec::new() };
        // What the peer forgot of an older session is no loss.
        if self.current(label).is_none_or(|current| current.index != index) {
            return Vec::new();
        }
        let peer = self.peers.entry(label).or_default();
        if peer.noticed_at.is_none_or(|at| now.us.saturating_sub(at) >= NOTICE_PAUSE) {
            peer.noticed_at = Some(now.us);
            self.begin(label, now);
        }
        self.take_actions()
    }

    /// Sends an initiation unless one is pending.
    pub(super) fn begin(&mut self, label: Label, now: Now) {
        let Some(member) = self.membership.get(label) else { return };
        let peer_key = member.certificate.session_key;
        if self.peers.entry(label).or_default().pending.is_some() {
            return;
        }
        let ciphers: Vec<u8> = self.ciphers.iter().map(|cipher| cipher.number()).collect();
        let payload =
            InitiationPayload { boot_id: self.boot_id, ciphers: &ciphers, certificate: self.membership.own().raw() };
        let random = self.random.as_mut();
        let Some((noise, message)) = self.noise.initiate(&peer_key, draw(random), &payload.encode()) else { return };
        let Some(ephemeral) = message.first_chunk().copied() else { return };
        let index = self.table.draw_index(random);
        let mut record = encode_initiation(index, &message);
        let mac1 = short_mac(&cookie::mac1_key(&peer_key), &record);
        record.extend_from_slice(&mac1);
        let Some(peer) = self.peers.get_mut(&label) else { return };
        peer.pending = Some(Pending {
            index,
            noise,
            ephemeral,
            peer_key,
            record,
            since: now.us,
            sent_at: now.us,
            next_at: now.us + Pending::pause(1),
            tries: 1,
            yielded: false,
            cookies: 0,
        });
        self.table.add_pending(index, label);
        self.send_initiation(label, None, now.us);
    }

    /// The same initiation each time, so that an answer to any copy counts however slow the way is; only mac2 changes.
    pub(super) fn send_initiation(&mut self, label: Label, to: Option<To>, now: Micros) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let Some(pending) = peer.pending.as_mut() else { return };
        pending.sent_at = now;
        let mut record = pending.record.clone();
        let cookie = peer.cookie.filter(|(_, at)| now.saturating_sub(*at) < COOKIE_LIFE);
        let mac2 = cookie.map_or([0; MAC_LENGTH], |(cookie, _)| cookie::mac2(&cookie, &record));
        record.extend_from_slice(&mac2);
        self.actions.push(Action::Send { to: to.unwrap_or(To::Label(label)), record });
        self.reschedule(label, now);
    }

    /// No answer within 10 s: the frames that wait are dropped. A session that still lives is renewed later.
    pub(super) fn give_up(&mut self, label: Label, now: Micros) {
        let Some(peer) = self.peers.get_mut(&label) else { return };
        let Some(pending) = peer.pending.take() else { return };
        self.table.remove_pending(pending.index);
        let dropped = peer.queue.len();
        peer.queue.clear();
        match peer.current.and_then(|slot| self.table.get_mut(slot)) {
            Some(session) => session.renew_at = now + HANDSHAKE_LIFE,
            None => self.actions.push(Action::Unanswered { label, dropped }),
        }
        self.reschedule(label, now);
    }

    fn initiation(&mut self, initiation: &Initiation<'_>, origin: Origin, now: Now) -> Result<(), Refusal> {
        if !equal(&short_mac(&self.mac1_key, initiation.before_mac1), initiation.mac1) {
            return Err(Refusal::BadMac1);
        }
        if self.gate.under_load(now.us) {
            let random = self.random.as_mut();
            if !self.gate.knows(&origin, initiation.before_mac2, initiation.mac2, random, now.us) {
                if !self.gate.may_tell(&origin) {
                    return Err(Refusal::Busy);
                }
                let cookie = self.gate.cookie(&origin, random, now.us);
                let record = Cookie { receiver: initiation.sender, cookie }.encode();
                self.actions.push(Action::Send { to: origin.into(), record });
                return Err(Refusal::CookieAsked);
            }
            if !self.gate.has_share(&origin) {
                return Err(Refusal::Busy);
            }
        }
        let ephemeral: [u8; 32] = *initiation.noise.first_chunk().ok_or(DecodeError("cut short"))?;
        if let Some(slot) = self.table.slot_of_ephemeral(&ephemeral) {
            return self.respond_again(slot, initiation, origin);
        }
        let (noise, key, payload) =
            self.noise.read_initiation(draw(self.random.as_mut()), initiation.noise).ok_or(Refusal::NotAuthentic)?;
        let payload = InitiationPayload::decode(&payload)?;
        let cipher = self.choose(payload.ciphers).ok_or(Refusal::NoCommonCipher)?;
        let peer = self.prove(payload.certificate, &key, payload.boot_id, now)?;
        if self.peers.get(&peer.label).is_some_and(|known| known.retired.contains(&peer.boot_id)) {
            return Err(Refusal::Replayed);
        }
        if self.glare(&peer, origin, now.us) {
            return Ok(());
        }
        let answer = ResponsePayload {
            boot_id: self.boot_id,
            cipher: cipher.number(),
            certificate: self.membership.own().raw(),
        };
        let (message, split) = noise.respond(&answer.encode()).ok_or(Refusal::NotAuthentic)?;
        let index = self.table.draw_index(self.random.as_mut());
        let session = Beginning {
            label: peer.label,
            boot_id: peer.boot_id,
            index,
            remote: initiation.sender,
            cipher,
            split,
            initiator: false,
            ephemeral,
            now: now.us,
        };
        let slot = self.table.add(session.session().ok_or(Refusal::NoCommonCipher)?);
        let response = encode_response(index, initiation.sender, &message);
        self.await_confirmation(peer.label, slot, initiation, &response, origin, now.us);
        self.actions.push(Action::Send { to: origin.into(), record: response });
        Ok(())
    }

    /// A copy of an initiation: a retry is answered as before, anything later is a replay.
    fn respond_again(&mut self, slot: usize, initiation: &Initiation<'_>, origin: Origin) -> Result<(), Refusal> {
        let label = self.table.get(slot).map(|session| session.label).ok_or(Refusal::Replayed)?;
        let peer = self.peers.get_mut(&label).ok_or(Refusal::Replayed)?;
        let waiting = peer.unconfirmed.iter_mut().find(|waiting| waiting.slot == slot);
        let waiting =
            waiting.filter(|waiting| waiting.initiation == initiation.before_mac1).ok_or(Refusal::Replayed)?;
        waiting.to = origin.into();
        self.actions.push(Action::Send { to: waiting.to, record: waiting.response.clone() });
        Ok(())
    }

    fn await_confirmation(
        &mut self,
        label: Label,
        slot: usize,
        initiation: &Initiation<'_>,
        response: &[u8],
        origin: Origin,
        now: Micros,
    ) {
        let peer = self.peers.entry(label).or_default();
        if peer.unconfirmed.len() >= UNCONFIRMED_MAX {
            let oldest = peer.unconfirmed.remove(0);
            self.table.remove(oldest.slot);
        }
        peer.unconfirmed.push(Unconfirmed {
            slot,
            until: now + UNCONFIRMED_LIFE,
            to: origin.into(),
            initiation: initiation.before_mac1.to_vec(),
            response: response.to_vec(),
        });
        self.reschedule(label, now);
    }

    /// Both initiated. The node with the higher id goes on with its own and shows it to the other, which may have become
    /// reachable only now; the lower waits for the other's confirmation before it tries again.
    fn glare(&mut self, other: &Proven, origin: Origin, now: Micros) -> bool {
        let own = self.membership.own().node_id();
        let Some(peer) = self.peers.get_mut(&other.label) else { return false };
        let Some(pending) = peer.pending.as_mut() else { return false };
        if own < other.node_id {
            if !pending.yielded {
                pending.yielded = true;
                pending.next_at = now + SECOND;
            }
            return false;
        }
        if now.saturating_sub(pending.sent_at) >= GLARE_PAUSE {
            self.send_initiation(other.label, Some(origin.into()), now);
        }
        true
    }

    fn response(&mut self, response: &Response<'_>, origin: Origin, now: Now) -> Result<(), Refusal> {
        let label = self.table.pending(response.receiver).ok_or(Refusal::UnknownIndex)?;
        let pending = self.peers.get_mut(&label).and_then(|peer| peer.pending.as_mut());
        let pending = pending.ok_or(Refusal::UnknownIndex)?;
        let (payload, split) = pending.noise.read_response(response.noise).ok_or(Refusal::NotAuthentic)?;
        let (index, ephemeral, key) = (pending.index, pending.ephemeral, pending.peer_key);
        // Authentic, so it is the peer's last word: whatever is wrong with it, this handshake is over.
        let accepted = self.accept(label, &payload, &key, now);
        let (peer, cipher) = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => {
                self.give_up(label, now.us);
                return Err(refusal);
            }
        };
        let session = Beginning {
            label,
            boot_id: peer.boot_id,
            index,
            remote: response.sender,
            cipher,
            split,
            initiator: true,
            ephemeral,
            now: now.us,
        };
        let session = session.session().ok_or(Refusal::NoCommonCipher)?;
        if let Some(pending) = self.peers.get_mut(&label).and_then(|peer| peer.pending.take()) {
            self.table.remove_pending(pending.index);
        }
        let slot = self.table.add(session);
        self.initiated(label, slot, origin.into(), now);
        self.reschedule(label, now.us);
        Ok(())
    }

    fn accept(&mut self, label: Label, payload: &[u8], key: &[u8; 32], now: Now) -> Result<(Proven, Cipher), Refusal> {
        let payload = ResponsePayload::decode(payload)?;
        let peer = self.prove(payload.certificate, key, payload.boot_id, now)?;
        if peer.label != label {
            return Err(Refusal::KeyMismatch);
        }
        let cipher = self.choose(&[payload.cipher]).ok_or(Refusal::NoCommonCipher)?;
        Ok((peer, cipher))
    }

    /// A certificate of a current member whose session key the Noise message was made with.
    fn prove(&mut self, raw: &[u8], key: &[u8; 32], boot_id: BootId, now: Now) -> Result<Proven, Refusal> {
        let claimed = Certificate::decode(raw)?;
        if claimed.session_key != *key {
            return Err(Refusal::KeyMismatch);
        }
        let (label, node_id) = (claimed.label(), claimed.node_id());
        let time = self.time(now);
        match self.membership.admit(raw, time) {
            Ok(admission) => {
                for displaced in admission.displaced {
                    self.displace(displaced, raw);
                }
                if admission.rekeyed {
                    self.end_sessions(label, LostReason::Rekeyed);
                }
                if admission.change != Change::Known {
                    self.actions.push(Action::MemberLearned { label, raw: raw.to_vec() });
                }
            }
            // The node has not yet taken up its own renewal, which we know already.
            Err(Refusal::Superseded) => {
                let known = self.membership.get(label).ok_or(Refusal::Superseded)?;
                if known.node_id != node_id || known.certificate.session_key != *key {
                    return Err(Refusal::Superseded);
                }
            }
            Err(refusal) => return Err(refusal),
        }
        Ok(Proven { label, node_id, boot_id })
    }

    /// The first cipher in our own order that the peer and the overlay both list.
    fn choose(&self, offered: &[u8]) -> Option<Cipher> {
        let allowed =
            |cipher: &Cipher| offered.contains(&cipher.number()) && self.parameters.ciphers.contains(&cipher.number());
        self.ciphers.iter().copied().find(allowed)
    }
}
