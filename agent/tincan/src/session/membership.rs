//! Who is a member: certificates, revocations, and the time they are judged by (wire.md §2).

use std::collections::HashMap;
use std::net::IpAddr;

use super::clock::Frame;
use super::prefixes::{holds, Prefixes};
use super::{Change, Refusal};
use crate::wire::{Certificate, Label, LabelMap, NodeId, ObjectError, Revocations, Verified};

#[derive(Debug, Clone)]
pub struct Member {
    pub node_id: NodeId,
    pub label: Label,
    pub certificate: Verified<Certificate>,
}

/// What a certificate did to the table.
#[derive(Debug)]
pub struct Admission {
    pub label: Label,
    pub change: Change,
    /// The node has another session key than before.
    pub rekeyed: bool,
    /// Members it displaced.
    pub displaced: Vec<Label>,
}

pub struct Membership {
    authority: [u8; 32],
    own: Verified<Certificate>,
    own_label: Label,
    members: LabelMap<Member>,
    addresses: HashMap<IpAddr, Label>,
    prefixes: Prefixes,
    /// The highest serial ever taken of a node: when a renewed certificate has expired, the one it replaced is not good again,
    /// however long it says it holds.
    newest: LabelMap<u64>,
    revocations: Option<Verified<Revocations>>,
    /// The latest time in any object whose signature verified: boards without a real-time clock start in the past.
    signed_time: u64,
}

impl Membership {
    pub fn new(authority: [u8; 32], own: Verified<Certificate>, issued: u64) -> Self {
        let signed_time = own.not_before.max(issued);
        let own_label = own.label();
        Membership {
            authority,
            own,
            own_label,
            members: LabelMap::default(),
            addresses: HashMap::new(),
            prefixes: Prefixes::default(),
            newest: LabelMap::default(),
            revocations: None,
            signed_time,
        }
    }

    pub fn set_own(&mut self, own: Verified<Certificate>, issued: u64) {
        self.signed_time = self.signed_time.max(own.not_before).max(issued);
        self.own = own;
    }

    pub fn own(&self) -> &Verified<Certificate> {
        &self.own
    }

    pub fn own_label(&self) -> Label {
        self.own_label
    }

    pub fn get(&self, label: Label) -> Option<&Member> {
        self.members.get(&label)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub fn revocations(&self) -> Option<&Verified<Revocations>> {
        self.revocations.as_ref()
    }

    /// What a credible clock lies in.
    pub fn frame(&self) -> Frame {
        Frame { not_before: self.own.not_before, not_after: self.own.not_after, signed: self.signed_time }
    }

    /// The later of the time given and the latest signed one: a certificate that was just looked at may have moved that.
    fn time(&self, unix: u64) -> u64 {
        unix.max(self.signed_time)
    }

    /// Adds a member or renews its certificate. Nothing changes unless the signature verified.
    ///
    /// *Not before* needs no comparison: it is itself a signed time, so the time is never before it (a board whose clock stands
    /// years back must take certificates younger than its own).
    pub fn admit(&mut self, raw: &[u8], unix: u64) -> Result<Admission, Refusal> {
        let claimed = Certificate::decode(raw)?;
        let label = claimed.label();
        if label == self.own_label {
            return Err(Refusal::Ourselves);
        }
        let known = self.members.get(&label);
        if let Some(member) = known.filter(|member| member.certificate.raw() == raw) {
            self.judge(&member.certificate, unix)?;
            return Ok(Admission { label, change: Change::Known, rekeyed: false, displaced: Vec::new() });
        }
        let certificate = Certificate::verify(raw, &self.authority)?;
        self.signed_time = self.signed_time.max(certificate.not_before);
        self.judge(&certificate, unix)?;
        let known = self.members.get(&label);
        if known.is_some_and(|member| member.certificate.serial >= certificate.serial) {
            return Err(Refusal::Superseded);
        }
        if self.newest.get(&label).is_some_and(|&newest| newest > certificate.serial) {
            return Err(Refusal::Superseded);
        }
        let displaced = self.claims(&certificate)?;
        for other in &displaced {
            self.remove(*other);
        }
        let old = self.remove(label);
        let same_node = old.as_ref().filter(|member| member.node_id == certificate.node_id());
        let change = if same_node.is_some() { Change::Renewed } else { Change::New };
        let rekeyed = old.as_ref().is_some_and(|member| member.certificate.session_key != certificate.session_key);
        for address in addresses(&certificate) {
            self.addresses.insert(address, label);
        }
        self.prefixes.insert(&certificate, label);
        self.newest.insert(label, certificate.serial);
        self.members.insert(label, Member { node_id: certificate.node_id(), label, certificate });
        Ok(Admission { label, change, rekeyed, displaced })
    }

    /// Neither expired nor revoked.
    fn judge(&self, certificate: &Certificate, unix: u64) -> Result<(), Refusal> {
        if self.time(unix) > certificate.not_after {
            return Err(Refusal::Expired);
        }
        let voids = |list: &Verified<Revocations>| list.voids(&certificate.node_id(), certificate.serial);
        if self.revocations.as_ref().is_some_and(voids) {
            return Err(Refusal::Revoked);
        }
        Ok(())
    }

    /// Of two certificates that claim one address the higher serial wins: the members that lose to this one.
    fn claims(&self, certificate: &Certificate) -> Result<Vec<Label>, Refusal> {
        let label = certificate.label();
        let mut losers = Vec::new();
        for address in addresses(certificate) {
            if addresses(&self.own).any(|own| own == address) && self.own.serial >= certificate.serial {
                return Err(Refusal::Superseded);
            }
            let owner = self.addresses.get(&address).copied().filter(|owner| *owner != label);
            let Some(member) = owner.and_then(|owner| self.members.get(&owner)) else { continue };
            if member.certificate.serial >= certificate.serial {
                return Err(Refusal::Superseded);
            }
            if !losers.contains(&member.label) {
                losers.push(member.label);
            }
        }
        Ok(losers)
    }

    pub fn remove(&mut self, label: Label) -> Option<Member> {
        let member = self.members.remove(&label)?;
        self.prefixes.remove(&member.certificate, label);
        for address in addresses(&member.certificate) {
            if self.addresses.get(&address) == Some(&label) {
                self.addresses.remove(&address);
            }
        }
        Some(member)
    }

    /// What a node's own certificate says it has is its own, whoever else has it too.
    pub fn may_use(&self, label: Label, address: IpAddr) -> bool {
        if self.members.get(&label).is_some_and(|member| holds(&member.certificate, address)) {
            return true;
        }
        let another = self.addresses.contains_key(&address) || self.prefixes.owner(address).is_some();
        !another && !holds(&self.own, address)
    }

    /// A list with a higher serial than the one known.
    pub fn newer_list(&mut self, raw: &[u8]) -> Result<Verified<Revocations>, Refusal> {
        if self.revocations.as_ref().is_some_and(|list| list.raw() == raw) {
            return Err(Refusal::Superseded);
        }
        let list = Revocations::verify(raw, &self.authority)?;
        self.signed_time = self.signed_time.max(list.issued);
        if self.revocations.as_ref().is_some_and(|known| known.serial >= list.serial) {
            return Err(Refusal::Superseded);
        }
        Ok(list)
    }

    /// Takes a list with a higher serial; the members it ends.
    pub fn revoke(&mut self, raw: &[u8]) -> Result<Vec<Label>, Refusal> {
        let list = self.newer_list(raw)?;
        let void = |member: &&Member| list.voids(&member.node_id, member.certificate.serial);
        let ended: Vec<Label> = self.members.values().filter(void).map(|member| member.label).collect();
        for label in &ended {
            self.remove(*label);
        }
        self.revocations = Some(list);
        Ok(ended)
    }

    /// The members whose certificates have run out.
    pub fn expire(&mut self, unix: u64) -> Vec<Label> {
        let time = self.time(unix);
        let over = |member: &&Member| time > member.certificate.not_after;
        let ended: Vec<Label> = self.members.values().filter(over).map(|member| member.label).collect();
        for label in &ended {
            self.remove(*label);
        }
        ended
    }
}

fn addresses(certificate: &Certificate) -> impl Iterator<Item = IpAddr> + '_ {
    let v4 = certificate.ipv4.iter().map(|(address, _)| IpAddr::V4(*address));
    v4.chain(certificate.ipv6.iter().map(|(address, _)| IpAddr::V6(*address)))
}

impl From<ObjectError> for Refusal {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Malformed(error) => Refusal::Malformed(error),
            ObjectError::WrongAuthority => Refusal::WrongAuthority,
        }
    }
}
