//! Which of two ways is better, and what each is for.

use std::net::SocketAddr;

use super::eligible::is_private;
use super::leg::{Leg, RemoteType, Role};
use super::paths::Via;

/// Another direct path must be better by a fifth and by this much, or paths would flap with the noise of the clock.
const BETTER_BY_US: u32 = 500;
/// A path that is not on a private network must be this much faster than one that is, so that a hairpin through the NAT
/// never beats the LAN by accident.
const PUBLIC_BIAS_US: u32 = 1_000;

pub(super) fn role(current: Option<Via>, via: Via) -> Role {
    match current {
        Some(current) if current == via => Role::Current,
        Some(Via::Direct(_)) => Role::Reserve,
        _ => Role::Hope,
    }
}

pub(super) fn score(leg: &Leg) -> u32 {
    let lan = matches!(leg.via, Via::Direct(address) if is_private(address.ip()));
    leg.rtt_us.unwrap_or(u32::MAX / 2).saturating_add(if lan { 0 } else { PUBLIC_BIAS_US })
}

pub(super) fn clearly_better(new: &Leg, old: &Leg) -> bool {
    let (new, old) = (score(new), score(old));
    new.saturating_add(BETTER_BY_US) < old && new < old / 5 * 4
}

/// The agent names addresses without their kind. A peer that names private addresses as well sits behind the public one.
pub(super) fn remote_type(address: SocketAddr, has_private: bool) -> RemoteType {
    let public_v4 = address.is_ipv4() && !is_private(address.ip());
    if public_v4 && has_private {
        RemoteType::Srflx
    } else {
        RemoteType::Host
    }
}
