//! `trace-watch` and `trace-read`: what this node does with the frames of a trace, counted where it happens.

use serde_json::{json, Map, Value};

use super::Node;
use crate::control::{Failure, TraceRead, TraceWatch};
use crate::frame::{Delivery, VNET_BYTES};
use crate::session::Now;
use crate::switch::{DropReason, Transit};
use crate::trace::{Counts, Mark};
use crate::wire::frame::FRAME_HEADER;
use crate::wire::record::FRAME;
use crate::wire::Label;

/// What is counted with a frame that the switch drops.
pub(super) const fn drop_name(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Policy => "switchPolicy",
        DropReason::Port => "switchPort",
        DropReason::Meter => "switchMeter",
        DropReason::UnknownLabel(_) => "unknownLabel",
        DropReason::NoRoute(_) => "noRoute",
    }
}

impl Node {
    /// Counts from now on, and tells by whom frames for the destination would leave now.
    pub(super) fn trace_watch(&mut self, watch: &TraceWatch, now: Now) -> Value {
        let pair = (watch.source, watch.destination);
        self.traces.watch(watch.trace, pair, usize::from(watch.frame_bytes), watch.for_ms, now.us);
        let came_by = watch.came_by.and_then(|peer| self.tunnels.port_of(peer.label()));
        let next = if watch.destination == self.label { None } else { self.would_leave_by(watch.destination, came_by) };
        json!({ "next": next.map(|port| self.hop_json(port)) })
    }

    pub(super) fn trace_read(&self, read: &TraceRead, now: Now) -> Result<Value, Failure> {
        let watch =
            self.traces.get(read.trace, now.us).ok_or_else(|| Failure::not_found("no such trace is watched"))?;
        Ok(json!({ "there": self.counts_json(&watch.there), "back": self.counts_json(&watch.back) }))
    }

    fn counts_json(&self, counts: &Counts) -> Value {
        let by_name: Map<String, Value> = counts.counts.iter().map(|(name, &n)| ((*name).into(), n.into())).collect();
        let hop = |port: Option<u32>| port.map(|port| self.hop_json(port));
        json!({ "counts": by_name, "cameBy": hop(counts.came_by), "leftBy": hop(counts.left_by) })
    }

    /// A tunnel that is gone meanwhile is null.
    fn hop_json(&self, port: u32) -> Value {
        self.tunnels.get(port).map_or(
            Value::Null,
            |tunnel| json!({ "peer": tunnel.peer.to_string(), "path": tunnel.paths.kind().name(), "port": port }),
        )
    }

    /// As records would be sent or forwarded, without one.
    fn would_leave_by(&mut self, label: Label, came_by: Option<u32>) -> Option<u32> {
        let up = |node: &Node, port: u32| node.tunnels.get(port).is_some_and(|tunnel| tunnel.current().is_some());
        let own = self.tunnels.port_of(label).filter(|&port| up(self, port));
        if own.is_some() {
            return own;
        }
        let Transit::Forward { port, .. } = self.switch.would_forward(came_by, label) else { return None };
        if !self.avoids(label, port) {
            return Some(port);
        }
        let avoid = |other: u32| Some(other) == came_by || self.avoids(label, other);
        self.switch.neighbours().first_hop_avoiding(label, avoid).or(Some(port))
    }

    /// A frame that had waited for its session leaves.
    pub(super) fn trace_flushed(&mut self, record_type: u8, plaintext: &[u8]) {
        if record_type == FRAME {
            let mark = self.traces.mark(plaintext.get(FRAME_HEADER..).unwrap_or(&[]));
            self.traces.count(mark, "sent");
        }
    }

    /// Frames of a trace are short and never merged: one piece is the whole frame.
    pub(super) fn delivery_mark(&self, delivery: &Delivery<'_>) -> Option<Mark> {
        match delivery.payload {
            [frame] if delivery.head.len() <= VNET_BYTES => self.traces.mark(frame),
            _ => None,
        }
    }

    pub(super) fn trace_dropped(&mut self, mark: Option<Mark>, reason: DropReason) {
        self.traces.count(mark, drop_name(reason));
    }
}
