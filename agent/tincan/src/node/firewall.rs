//! The node's table of nftables: ordered by the agent, kept here, gone when tincan ends for good.

use serde_json::{json, Value};

use super::Node;
use crate::control::{Failure, Firewall};
use crate::firewall::{is_plain, ruleset, Job, Keeper};
use crate::io::nft::{Generations, Running};
use crate::log;
use crate::session::Now;
use crate::time::{Micros, MILLISECOND};

/// From one look whether nft has ended to the next.
const WAIT: Micros = 10 * MILLISECOND;

#[derive(Default)]
pub(super) struct NodeFirewall {
    keeper: Keeper,
    running: Option<Running>,
    look_at: Micros,
    generations: Generations,
}

impl NodeFirewall {
    pub fn deadline(&self) -> Option<Micros> {
        self.running.as_ref().map(|_| self.look_at).or(self.keeper.deadline())
    }

    pub fn problem(&self) -> Option<&str> {
        self.keeper.problem()
    }
}

impl Node {
    pub(super) fn order_firewall(&mut self, order: Option<Firewall>, now: Now) -> Result<Value, Failure> {
        let bridge = &self.bridge.name;
        if order.is_some() && !is_plain(bridge) {
            let message =
                format!("nftables has no way to write the name of the bridge {bridge}: configure another one");
            return Err(Failure::bad_request(message));
        }
        let text = order.map(|rules| ruleset(&rules, bridge));
        self.firewall.keeper.want(text, now.us);
        Ok(json!({}))
    }

    pub(super) fn firewall_tick(&mut self, now: Now) {
        if self.firewall.deadline().is_none_or(|at| now.us < at) {
            return;
        }
        if let Some(running) = &mut self.firewall.running {
            let Some(result) = running.finished(now.us) else {
                self.firewall.look_at = now.us + WAIT;
                return;
            };
            self.firewall.running = None;
            self.firewall_did(result, now);
        }
        let NodeFirewall { keeper, generations, .. } = &mut self.firewall;
        let Some(job) = keeper.next(|| generations.read(), now.us) else { return };
        match Running::start(&job, now.us) {
            Ok(running) => {
                self.firewall.running = Some(running);
                self.firewall.look_at = now.us + WAIT;
            }
            Err(reason) => self.firewall_did(Err(reason), now),
        }
    }

    fn firewall_did(&mut self, result: Result<String, String>, now: Now) {
        if self.firewall.keeper.finished(result, now.us) {
            let what = "set table inet evio of nftables";
            if let Some(unsaid) = self.seldom.say(what, now.us) {
                log!(Warn, "something changed the firewall of this node; put right", did = what, again = unsaid);
                self.event("repaired", json!({ "what": what, "again": unsaid }));
            }
        }
        self.tell_problems();
    }

    /// For good; the process ends, so it waits for that.
    pub(super) fn remove_firewall(&mut self) {
        if let Some(running) = self.firewall.running.take() {
            let _ = running.wait();
        }
        if !self.firewall.keeper.has_table() {
            return;
        }
        if let Err(reason) = Running::start(&Job::Remove, 0).and_then(Running::wait) {
            log!(Warn, "cannot remove table inet evio of nftables", reason = reason);
        }
    }
}
