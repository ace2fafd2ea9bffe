//! Actions (clause 7.2.5) and instructions (clause 7.2.4).
//!
//! ```text
//! output:      0 (2) | 16 (2) | port (4) | max_len (2) | 0 (6)
//! group:       22 (2) | 8 (2) | group (4)
//! set-field:   25 (2) | length (2) | OXM without mask | zeros to a multiple of 8
//!
//! goto-table:      1 (2) | 8 (2) | table (1) | 0 (3)
//! write-metadata:  2 (2) | 24 (2) | 0 (4) | metadata (8) | mask (8)
//! write-actions 3, apply-actions 4, clear-actions 5:  type (2) | length (2) | 0 (4) | actions
//! meter:           6 (2) | 8 (2) | meter (4)
//! ```
//!
//! The frame itself is never changed, since a super-frame is carried as its records are cut: the one field that can be set is
//! `tunnel_id`, the destination label. Setting any other is refused with the standard's error.

use super::openflow::{error, fill_length, padded, port, zeros, Result, GROUP_MAX, METER_MAX};
use super::oxm::{self, Field, Tlv};
use crate::wire::Reader;

const OUTPUT: u16 = 0;
const GROUP: u16 = 22;
const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;
/// More actions than this in one list are refused.
const ACTIONS_MAX: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Output { port: u32, max_length: u16 },
    Group(u32),
    SetTunnel(u64),
}

impl Action {
    /// Reads `length` bytes of actions. `packet_out` allows the reserved port TABLE (clause 7.2.5.1).
    pub fn decode_list(reader: &mut Reader<'_>, length: usize, packet_out: bool) -> Result<Vec<Action>> {
        let mut list = Reader::new(reader.take(length).map_err(|_| error::BAD_ACTION_LEN)?);
        let mut actions = Vec::new();
        while list.remaining() > 0 {
            if actions.len() == ACTIONS_MAX {
                return Err(error::BAD_ACTION_TOO_MANY);
            }
            actions.push(Action::decode(&mut list, packet_out)?);
        }
        Ok(actions)
    }

    fn decode(list: &mut Reader<'_>, packet_out: bool) -> Result<Action> {
        let cut = |_| error::BAD_ACTION_LEN;
        let kind = list.u16().map_err(cut)?;
        let length = usize::from(list.u16().map_err(cut)?);
        if length < 8 || length % 8 != 0 {
            return Err(error::BAD_ACTION_LEN);
        }
        let mut body = Reader::new(list.take(length - 4).map_err(cut)?);
        let action = match (kind, length) {
            (OUTPUT, 16) => {
                let port = body.u32().map_err(cut)?;
                let max_length = body.u16().map_err(cut)?;
                if !is_output_port(port, packet_out) {
                    return Err(error::BAD_ACTION_OUT_PORT);
                }
                Action::Output { port, max_length }
            }
            (GROUP, 8) => match body.u32().map_err(cut)? {
                group if group <= GROUP_MAX => Action::Group(group),
                _ => return Err(error::BAD_ACTION_OUT_GROUP),
            },
            (SET_FIELD, _) => {
                let tlv = Tlv::decode(&mut body, error::BAD_ACTION_SET_LEN)?;
                let field = tlv.field.filter(|field| field.id == oxm::TUNNEL_ID).ok_or(error::BAD_ACTION_SET_TYPE)?;
                match tlv.value_and_mask(field, error::BAD_ACTION_SET_LEN)? {
                    (value, None) => Action::SetTunnel(value as u64),
                    _ => return Err(error::BAD_ACTION_SET_TYPE),
                }
            }
            (OUTPUT | GROUP, _) => return Err(error::BAD_ACTION_LEN),
            (EXPERIMENTER, _) => return Err(error::BAD_ACTION_EXPERIMENTER),
            _ => return Err(error::BAD_ACTION_TYPE),
        };
        Ok(action)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match *self {
            Action::Output { port, max_length } => {
                out.extend([0, 0, 0, 16]);
                out.extend(port.to_be_bytes());
                out.extend(max_length.to_be_bytes());
                zeros(out, 6);
            }
            Action::Group(group) => {
                out.extend([0, GROUP as u8, 0, 8]);
                out.extend(group.to_be_bytes());
            }
            Action::SetTunnel(label) => {
                out.extend([0, SET_FIELD as u8, 0, 0]);
                if let Some(field) = Field::by_id(oxm::TUNNEL_ID) {
                    oxm::encode_field(out, field, u128::from(label), None);
                }
                let length = out.len() - start;
                zeros(out, padded(length) - length);
                fill_length(out, start + 2, start);
            }
        }
    }
}

fn is_output_port(port: u32, packet_out: bool) -> bool {
    match port {
        1..=port::MAX | port::IN_PORT | port::NORMAL | port::FLOOD | port::ALL | port::CONTROLLER => true,
        port::TABLE => packet_out,
        _ => false,
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instructions {
    pub meter: Option<u32>,
    pub apply: Option<Vec<Action>>,
    pub clear: bool,
    pub write: Option<Vec<Action>>,
    /// Value and mask.
    pub metadata: Option<(u64, u64)>,
    pub goto: Option<u8>,
}

impl Instructions {
    /// Reads all that is left. Each kind may stand once (clause 5.9); the order they are executed in is fixed.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Instructions> {
        let cut = |_| error::BAD_INSTRUCTION_LEN;
        let mut decoded = Instructions::default();
        while reader.remaining() > 0 {
            let kind = reader.u16().map_err(cut)?;
            let length = usize::from(reader.u16().map_err(cut)?);
            if length < 8 || length % 8 != 0 {
                return Err(error::BAD_INSTRUCTION_LEN);
            }
            let mut body = Reader::new(reader.take(length - 4).map_err(cut)?);
            let twice = match (kind, length) {
                (1, 8) => decoded.goto.replace(body.u8().map_err(cut)?).is_some(),
                (2, 24) => {
                    body.u32().map_err(cut)?;
                    let (value, mask) = (body.u64().map_err(cut)?, body.u64().map_err(cut)?);
                    decoded.metadata.replace((value & mask, mask)).is_some()
                }
                (3 | 4, _) => {
                    body.u32().map_err(cut)?;
                    let length = body.remaining();
                    let actions = Action::decode_list(&mut body, length, false)?;
                    if kind == 3 { &mut decoded.write } else { &mut decoded.apply }.replace(actions).is_some()
                }
                (5, 8) => std::mem::replace(&mut decoded.clear, true),
                (6, 8) => {
                    let meter = body.u32().map_err(cut)?;
                    if meter == 0 || meter > METER_MAX {
                        return Err(error::METER_MOD_INVALID);
                    }
                    decoded.meter.replace(meter).is_some()
                }
                (1 | 2 | 5 | 6, _) => return Err(error::BAD_INSTRUCTION_LEN),
                (0xffff, _) => return Err(error::BAD_INSTRUCTION_EXPERIMENTER),
                _ => return Err(error::BAD_INSTRUCTION_UNKNOWN),
            };
            if twice {
                return Err(error::BAD_INSTRUCTION_UNSUPPORTED);
            }
        }
        Ok(decoded)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let list = |out: &mut Vec<u8>, kind: u8, actions: &[Action]| {
            let start = out.len();
            out.extend([0, kind, 0, 0, 0, 0, 0, 0]);
            actions.iter().for_each(|action| action.encode(out));
            fill_length(out, start + 2, start);
        };
        if let Some(meter) = self.meter {
            out.extend([0, 6, 0, 8]);
            out.extend(meter.to_be_bytes());
        }
        if let Some(actions) = &self.apply {
            list(out, 4, actions);
        }
        if self.clear {
            list(out, 5, &[]);
        }
        if let Some(actions) = &self.write {
            list(out, 3, actions);
        }
        if let Some((value, mask)) = self.metadata {
            out.extend([0, 2, 0, 24, 0, 0, 0, 0]);
            out.extend(value.to_be_bytes());
            out.extend(mask.to_be_bytes());
        }
        if let Some(table) = self.goto {
            out.extend([0, 1, 0, 8, table, 0, 0, 0]);
        }
    }

    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.apply.iter().chain(&self.write).flatten()
    }

    pub fn outputs_to(&self, port: u32) -> bool {
        self.actions().any(|action| matches!(*action, Action::Output { port: to, .. } if to == port))
    }

    pub fn uses_group(&self, group: u32) -> bool {
        self.actions().any(|action| *action == Action::Group(group))
    }
}

#[cfg(test)]
mod tests;
