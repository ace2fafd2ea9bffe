//! Frames on their way out: from the tap, and from controllers.

use super::{Node, TAP_PORT, TURN, TURN_BYTES};
use crate::frame::{datagram_sources, parse_tap, segment};
use crate::session::Now;
use crate::switch::{Output, PacketOut};

impl Node {
    /// The tap with this number can be read.
    pub fn tap_ready(&mut self, id: u32, now: Now) {
        let mut buffer = std::mem::take(&mut self.tap_buffer);
        let mut bytes = 0;
        for _ in 0..TURN {
            if bytes >= TURN_BYTES {
                break;
            }
            let Some(tap) = self.taps.get(id) else { break };
            match tap.read(&mut buffer) {
                Ok(Some(length)) => {
                    bytes += length;
                    self.outgoing(buffer.get(..length).unwrap_or(&[]), id, now);
                }
                Ok(None) => break,
                Err(error) => {
                    self.tap_failed(id, &error);
                    break;
                }
            }
        }
        self.tap_buffer = buffer;
    }

    fn outgoing(&mut self, bytes: &[u8], tap: u32, now: Now) {
        self.moved += bytes.len();
        let frame = match parse_tap(bytes) {
            Ok(frame) => frame,
            Err(error) => return self.counters.add(error.counter()),
        };
        if self.is_own_datagram(frame.frame) {
            return self.counters.add("pathInside");
        }
        let mark = self.traces.mark(frame.frame);
        self.traces.count(mark, "read");
        let outputs = self.switch.frame(TAP_PORT, None, frame.frame, now.us);
        for output in outputs.iter() {
            match *output {
                Output::Node { label, port, detour } => {
                    let port = self.taps.first_hop(tap).unwrap_or(port);
                    self.send_frame(label, port, detour, &frame, now);
                }
                Output::Flood => {
                    let mut frames = Vec::new();
                    let cut = segment(&frame, usize::MAX, |flags, head, payload| {
                        frames.push((flags & crate::frame::PARTIAL != 0, [head, payload].concat()));
                    });
                    if let Err(error) = cut {
                        self.counters.add(error.counter());
                    }
                    for (partial, frame) in frames {
                        self.originate(&frame, partial, now);
                    }
                }
                // The bridge has only one port towards us: nothing goes back where it came from.
                Output::Tap { .. } => self.counters.add("tapHairpin"),
                Output::Drop(reason) => {
                    self.trace_dropped(mark, reason);
                    self.dropped(reason);
                }
            }
        }
    }

    /// What this tincan itself sent, come back by a link that leads into the overlay though the kernel does not tell (a bridge or switch
    /// with a cable to `evio0`, VXLAN that names no end): the path it is for would run within itself, and is never proven like this.
    fn is_own_datagram(&self, frame: &[u8]) -> bool {
        datagram_sources(frame).into_iter().flatten().any(|source| self.is_own(source))
    }

    /// Frames that a controller sent by packet-out.
    pub fn packets_out(&mut self, packets: Vec<PacketOut>, now: Now) {
        for packet in packets {
            let mut whole = vec![0; crate::frame::VNET_BYTES];
            whole.extend_from_slice(&packet.frame);
            let mark = self.traces.mark(&packet.frame);
            self.traces.count(mark, "read");
            for output in packet.outputs.iter() {
                match *output {
                    Output::Tap { .. } => self.write_tap(&packet.frame),
                    Output::Node { label, port, detour } => match parse_tap(&whole) {
                        Ok(frame) => self.send_frame(label, port, detour, &frame, now),
                        Err(error) => self.counters.add(error.counter()),
                    },
                    Output::Flood => self.originate(&packet.frame, false, now),
                    Output::Drop(reason) => {
                        self.trace_dropped(mark, reason);
                        self.dropped(reason);
                    }
                }
            }
        }
    }

    fn write_tap(&mut self, frame: &[u8]) {
        let mut merger = crate::frame::Merger::new();
        let Node { taps, counters, sessions, .. } = self;
        let own = sessions.certificate().mac();
        let pushed = merger.push(0, 0, 0, frame, &mut |delivery| {
            if let Some(counter) = taps.write(0, delivery, own) {
                counters.add(counter);
            }
        });
        if let Err(error) = pushed {
            counters.add(error.counter());
        }
    }
}
