//! The node as the control socket shows it.

use serde_json::{json, Value};

use super::Node;
use crate::session::Now;
use crate::tunnel::{PathKind, Via};

impl Node {
    pub fn tunnel_json(&self, port: u32, now: Now) -> Option<Value> {
        let tunnel = self.tunnels.get(port)?;
        let member = self.sessions.member(tunnel.label);
        let paths = &tunnel.paths;
        let remote = match paths.current() {
            Some(Via::Direct(address)) => Some(address.to_string()),
            _ => None,
        };
        let local_type = match paths.kind() {
            PathKind::Direct => Some(self.local_type(tunnel.local, tunnel.observed)),
            PathKind::Webrtc => Some("webrtc"),
            PathKind::None => None,
        };
        let adjacent: Vec<String> = self
            .switch
            .neighbours()
            .get(port)
            .map(|neighbour| neighbour.adjacent().iter().map(ToString::to_string).collect())
            .unwrap_or_default();
        Some(json!({
            "peer": tunnel.peer.to_string(),
            "name": member.map(|member| member.certificate.name.clone()),
            "port": tunnel.port,
            "tap": self.taps.of_tunnel(port),
            "note": tunnel.note,
            "path": paths.kind().name(),
            "local": tunnel.local.map(|address| address.to_string()),
            "remote": &remote,
            "remoteType": paths.remote_type().map(|kind| kind.name()),
            "rttUs": paths.rtt_us(),
            "lossPpm": paths.loss_ppm(),
            "recordSize": paths.record_size(),
            "txBytes": tunnel.tx_bytes,
            "rxBytes": tunnel.rx_bytes,
            "sinceMs": now.us.saturating_sub(paths.since()) / 1_000,
            "webrtcUp": paths.webrtc_up(),
            "adjacent": adjacent,
            "candidates": paths.candidates().map(|(address, _)| address.to_string()).collect::<Vec<_>>(),
            "localCandidateType": local_type,
            "observed": remote.is_some().then_some(tunnel.observed).flatten().map(|address| address.to_string()),
        }))
    }

    pub fn tunnels_json(&self, now: Now) -> Value {
        let tunnels: Vec<Value> =
            self.tunnels.ports().into_iter().filter_map(|port| self.tunnel_json(port, now)).collect();
        json!({ "tunnels": tunnels })
    }

    pub fn members_json(&self, now: Now) -> Value {
        let members: Vec<Value> = self
            .sessions
            .members()
            .map(|member| {
                json!({
                    "nodeId": member.node_id.to_string(),
                    "name": member.certificate.name,
                    "serial": member.certificate.serial,
                    "notAfter": member.certificate.not_after,
                    "session": self.sessions.usable(member.label, now),
                })
            })
            .collect();
        json!({ "members": members })
    }

    pub fn stats_json(&self) -> Value {
        let mut counters: std::collections::BTreeMap<&str, u64> = self.counters.iter().collect();
        for (name, count) in self.sessions.refusals() {
            *counters.entry(name).or_default() += count;
        }
        counters.insert("transitRecords", self.transit_records);
        let floods = self.flood.counters();
        for (name, count) in [
            ("floodOriginated", floods.originated),
            ("floodDelivered", floods.delivered),
            ("floodDuplicates", floods.duplicates),
            ("floodReassigned", floods.reassigned),
            ("floodHunted", floods.hunted),
            ("floodAbandoned", floods.abandoned),
            ("floodMalformed", floods.malformed),
            ("floodRateLimited", floods.rate_limited),
        ] {
            counters.insert(name, count);
        }
        json!({ "counters": counters, "rssBytes": resident_bytes() })
    }

    pub fn demand_json(&self) -> Value {
        let labels: Vec<Value> = self
            .demand
            .iter()
            .map(|(label, (bytes, via))| json!({ "label": label.to_string(), "bytes": bytes, "viaBytes": via }))
            .collect();
        json!({ "labels": labels })
    }
}

/// VmRSS of proc_pid_status(5), in kB.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
