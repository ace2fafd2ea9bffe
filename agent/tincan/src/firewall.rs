//! The node's own table of nftables (docs/wire.md §10.1, `firewall`): its text, and when it is put, looked at and put again. Pure.

use std::fmt::Write;

use crate::control::Firewall;
use crate::prefix::Prefix;
use crate::time::{Micros, SECOND};

/// From one look at the ruleset's generation to the next.
const LOOK: Micros = 3 * SECOND;
/// After the rules were refused, or `nft` could not be run.
const RETRY: Micros = 5 * SECOND;

/// One transaction: the table is never half there, and whatever stood in it before is gone.
pub fn ruleset(rules: &Firewall, bridge: &str) -> String {
    let mut text = format!("{REMOVE}table inet evio {{\n");
    let inside: Vec<Prefix> = rules.overlay_cidrs.iter().chain(&rules.pod_cidrs).copied().collect();
    for (family, v4) in [("4", true), ("6", false)] {
        set(&mut text, &format!("pods{family}"), v4, &rules.pod_cidrs);
        set(&mut text, &format!("overlay{family}"), v4, &inside);
    }
    let pods = &rules.host_interface_prefix;
    // Before connection tracking. Of the addresses without a route back, "::" and link-local ones ask for neighbours.
    let _ = write!(
        text,
        "\tchain from-pods {{
\t\ttype filter hook prerouting priority raw; policy accept;
\t\tiifname \"{pods}*\" ip6 saddr {{ ::, fe80::/10 }} accept
\t\tiifname \"{pods}*\" fib saddr . iif oif missing drop
\t}}

\tchain to-outside {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\toifname \"{bridge}\" return
\t\tip saddr @pods4 ip daddr != @overlay4 masquerade
\t\tip6 saddr @pods6 ip6 daddr != @overlay6 masquerade
\t}}
}}
"
    );
    text
}

/// Whether nft takes a name as it is: a "*" at its end would mean more than that interface, and quotes have no escape.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

/// The first line is no error when there is no such table yet.
const REMOVE: &str = "table inet evio\ndelete table inet evio\n";

fn set(text: &mut String, name: &str, v4: bool, prefixes: &[Prefix]) {
    let kind = if v4 { "ipv4_addr" } else { "ipv6_addr" };
    let _ = write!(text, "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval\n");
    let elements: Vec<String> = outermost(prefixes, v4).iter().map(Prefix::to_string).collect();
    if !elements.is_empty() {
        let _ = writeln!(text, "\t\telements = {{ {} }}", elements.join(", "));
    }
    text.push_str("\t}\n\n");
}

/// Without those that lie in another one: an interval set takes no overlaps.
fn outermost(prefixes: &[Prefix], v4: bool) -> Vec<Prefix> {
    let mut of_family: Vec<Prefix> = prefixes.iter().filter(|prefix| prefix.is_ipv4() == v4).copied().collect();
    of_family.sort_by_key(|prefix| (prefix.length(), *prefix));
    let mut kept: Vec<Prefix> = vec![];
    for prefix in of_family {
        if !kept.iter().any(|outer| outer.covers(&prefix)) {
            kept.push(prefix);
        }
    }
    kept.sort_unstable();
    kept
}

/// What `nft` is run for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    Put(String),
    List,
    Remove,
}

impl Job {
    pub fn arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Put(_) | Self::Remove => &["-f", "-"],
            Self::List => &["list", "table", "inet", "evio"],
        }
    }

    pub fn input(&self) -> Option<&str> {
        match self {
            Self::Put(text) => Some(text),
            Self::Remove => Some(REMOVE),
            Self::List => None,
        }
    }
}

/// Keeps the table as it is wanted. One job at a time: `next` gives it, `finished` takes what became of it.
#[derive(Debug, Default)]
pub struct Keeper {
    wanted: Option<String>,
    /// The text that was put last, as far as is known.
    standing: Option<String>,
    /// How nft lists that.
    listing: Option<String>,
    /// The ruleset's generation when it was last seen to be right, and when it was last asked for.
    right_at: Option<u32>,
    asked_at: Option<u32>,
    running: Option<Job>,
    at: Micros,
    problem: Option<String>,
    /// Somebody changed the table.
    harmed: bool,
}

impl Keeper {
    /// Another text, or no table.
    pub fn want(&mut self, wanted: Option<String>, now: Micros) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.at = now;
            self.harmed = false;
        }
    }

    /// Why the table is not there.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether a table of ours is there, or may be.
    pub fn has_table(&self) -> bool {
        self.standing.is_some() || matches!(self.running, Some(Job::Put(_)))
    }

    pub fn deadline(&self) -> Option<Micros> {
        let work = self.running.is_none() && (self.wanted.is_some() || self.standing.is_some());
        work.then_some(self.at)
    }

    /// `generation`: the kernel's number of the whole ruleset, which every change of it raises. None: it cannot be had.
    pub fn next(&mut self, generation: impl FnOnce() -> Option<u32>, now: Micros) -> Option<Job> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        let job = match (&self.wanted, &self.standing) {
            (None, _) => Job::Remove,
            (Some(wanted), Some(standing)) if wanted == standing => {
                self.at = now + LOOK;
                // Before the look, so that a change during it is seen by the next one.
                self.asked_at = generation();
                if self.asked_at.is_some() && self.asked_at == self.right_at {
                    return None;
                }
                Job::List
            }
            (Some(wanted), _) => Job::Put(wanted.clone()),
        };
        self.running = Some(job.clone());
        Some(job)
    }

    /// `result`: what was printed, or why it failed in one line. True when the table stands again after somebody had changed it.
    pub fn finished(&mut self, result: Result<String, String>, now: Micros) -> bool {
        let Some(job) = self.running.take() else { return false };
        match (job, result) {
            (Job::Put(text), Ok(_)) => {
                (self.standing, self.listing, self.right_at) = (Some(text), None, None);
                self.problem = None;
                self.at = now;
                return std::mem::take(&mut self.harmed);
            }
            (Job::Put(_), Err(reason)) => {
                self.standing = None;
                self.problem = Some(reason);
                self.at = now + RETRY;
            }
            (Job::List, Ok(listing)) if *self.listing.get_or_insert_with(|| listing.clone()) == listing => {
                self.right_at = self.asked_at;
            }
            (Job::List, _) => {
                self.standing = None;
                self.harmed = true;
                self.at = now;
            }
            (Job::Remove, result) => {
                self.standing = None;
                self.problem = result.err();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
