//! Plaintext of a control record (wire.md §6.5): `channel (1) | 0 (1) | body`.

use super::{DecodeError, Label, Reader};

pub const AGENT_MESSAGE_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control<'a> {
    /// Confirms a session.
    Confirm,
    /// JSON of §9.3, for the agent.
    Agent(&'a [u8]),
    /// The sender's live tunnels.
    Adjacency { sequence: u32, labels: Vec<Label> },
    /// A whole revocation list.
    Revocations(&'a [u8]),
    /// A whole certificate.
    Certificate(&'a [u8]),
}

impl<'a> Control<'a> {
    pub fn decode(plaintext: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(plaintext);
        let channel = reader.u8()?;
        reader.zeros(1)?;
        match channel {
            0 => reader.end().map(|()| Control::Confirm),
            1 if reader.remaining() > AGENT_MESSAGE_MAX => Err(DecodeError("agent message too long")),
            1 => Ok(Control::Agent(reader.rest())),
            2 => {
                let sequence = reader.u32()?;
                let number = reader.u16()?;
                let labels = (0..number).map(|_| reader.u64().map(Label)).collect::<Result<Vec<_>, _>>()?;
                reader.end()?;
                Ok(Control::Adjacency { sequence, labels })
            }
            3 => Ok(Control::Revocations(reader.rest())),
            4 => Ok(Control::Certificate(reader.rest())),
            _ => Err(DecodeError("unknown control channel")),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Control::Confirm => vec![0, 0],
            Control::Agent(body) => [&[1, 0], *body].concat(),
            Control::Adjacency { sequence, labels } => {
                let number = u16::try_from(labels.len()).unwrap_or(u16::MAX);
                let mut out = vec![2, 0];
                out.extend_from_slice(&sequence.to_be_bytes());
                out.extend_from_slice(&number.to_be_bytes());
                for label in labels.iter().take(usize::from(number)) {
                    out.extend_from_slice(&label.0.to_be_bytes());
                }
                out
            }
            Control::Revocations(list) => [&[3, 0], *list].concat(),
            Control::Certificate(certificate) => [&[4, 0], *certificate].concat(),
        }
    }
}
