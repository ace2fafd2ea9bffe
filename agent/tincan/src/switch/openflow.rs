//! Numbers of OpenFlow 1.3 (ONF TS-023, "1.3.5"; clause numbers are of that text) and the header of every message.

pub const VERSION: u8 = 0x04;
pub const HEADER_LENGTH: usize = 8;

/// Message types (clause 7.1).
pub mod kind {
    pub const HELLO: u8 = 0;
    pub const ERROR: u8 = 1;
    pub const ECHO_REQUEST: u8 = 2;
    pub const ECHO_REPLY: u8 = 3;
    pub const EXPERIMENTER: u8 = 4;
    pub const FEATURES_REQUEST: u8 = 5;
    pub const FEATURES_REPLY: u8 = 6;
    pub const GET_CONFIG_REQUEST: u8 = 7;
    pub const GET_CONFIG_REPLY: u8 = 8;
    pub const SET_CONFIG: u8 = 9;
    pub const PACKET_IN: u8 = 10;
    pub const FLOW_REMOVED: u8 = 11;
    pub const PORT_STATUS: u8 = 12;
    pub const PACKET_OUT: u8 = 13;
    pub const FLOW_MOD: u8 = 14;
    pub const GROUP_MOD: u8 = 15;
    pub const MULTIPART_REQUEST: u8 = 18;
    pub const MULTIPART_REPLY: u8 = 19;
    pub const BARRIER_REQUEST: u8 = 20;
    pub const BARRIER_REPLY: u8 = 21;
    pub const ROLE_REQUEST: u8 = 24;
    pub const ROLE_REPLY: u8 = 25;
    pub const METER_MOD: u8 = 29;
}

/// Reserved ports (clause 7.2.1).
pub mod port {
    pub const MAX: u32 = 0xffff_ff00;
    pub const IN_PORT: u32 = 0xffff_fff8;
    pub const TABLE: u32 = 0xffff_fff9;
    pub const NORMAL: u32 = 0xffff_fffa;
    pub const FLOOD: u32 = 0xffff_fffb;
    pub const ALL: u32 = 0xffff_fffc;
    pub const CONTROLLER: u32 = 0xffff_fffd;
    pub const ANY: u32 = 0xffff_ffff;
}

pub const GROUP_MAX: u32 = 0xffff_ff00;
pub const GROUP_ALL: u32 = 0xffff_fffc;
pub const GROUP_ANY: u32 = 0xffff_ffff;
pub const METER_MAX: u32 = 0xffff_0000;
pub const METER_ALL: u32 = 0xffff_ffff;
pub const TABLE_ALL: u8 = 0xff;
pub const NO_BUFFER: u32 = 0xffff_ffff;
/// OFPCML_NO_BUFFER: the whole frame to the controller.
pub const CONTROLLER_NO_BUFFER: u16 = 0xffff;

/// An error message's type and code (clause 7.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error(pub u16, pub u16);

pub type Result<T> = std::result::Result<T, Error>;

/// The errors this switch sends, by their names in the specification.
pub mod error {
    use super::Error;

    pub const HELLO_INCOMPATIBLE: Error = Error(0, 0);

    pub const BAD_REQUEST_VERSION: Error = Error(1, 0);
    pub const BAD_REQUEST_TYPE: Error = Error(1, 1);
    pub const BAD_REQUEST_MULTIPART: Error = Error(1, 2);
    pub const BAD_REQUEST_EXPERIMENTER: Error = Error(1, 3);
    pub const BAD_REQUEST_LEN: Error = Error(1, 6);
    pub const BAD_REQUEST_BUFFER_UNKNOWN: Error = Error(1, 8);
    pub const BAD_REQUEST_TABLE_ID: Error = Error(1, 9);
    pub const BAD_REQUEST_IS_SLAVE: Error = Error(1, 10);
    pub const BAD_REQUEST_PORT: Error = Error(1, 11);
    pub const BAD_REQUEST_PACKET: Error = Error(1, 12);
    pub const BAD_REQUEST_MULTIPART_OVERFLOW: Error = Error(1, 13);

    pub const BAD_ACTION_TYPE: Error = Error(2, 0);
    pub const BAD_ACTION_LEN: Error = Error(2, 1);
    pub const BAD_ACTION_EXPERIMENTER: Error = Error(2, 2);
    pub const BAD_ACTION_OUT_PORT: Error = Error(2, 4);
    pub const BAD_ACTION_TOO_MANY: Error = Error(2, 7);
    pub const BAD_ACTION_OUT_GROUP: Error = Error(2, 9);
    pub const BAD_ACTION_SET_TYPE: Error = Error(2, 13);
    pub const BAD_ACTION_SET_LEN: Error = Error(2, 14);

    pub const BAD_INSTRUCTION_UNKNOWN: Error = Error(3, 0);
    pub const BAD_INSTRUCTION_UNSUPPORTED: Error = Error(3, 1);
    pub const BAD_INSTRUCTION_TABLE_ID: Error = Error(3, 2);
    pub const BAD_INSTRUCTION_EXPERIMENTER: Error = Error(3, 5);
    pub const BAD_INSTRUCTION_LEN: Error = Error(3, 7);

    pub const BAD_MATCH_TYPE: Error = Error(4, 0);
    pub const BAD_MATCH_LEN: Error = Error(4, 1);
    pub const BAD_MATCH_WILDCARDS: Error = Error(4, 5);
    pub const BAD_MATCH_FIELD: Error = Error(4, 6);
    pub const BAD_MATCH_VALUE: Error = Error(4, 7);
    pub const BAD_MATCH_MASK: Error = Error(4, 8);
    pub const BAD_MATCH_PREREQUISITE: Error = Error(4, 9);
    pub const BAD_MATCH_DUPLICATE: Error = Error(4, 10);

    pub const FLOW_MOD_TABLE_FULL: Error = Error(5, 1);
    pub const FLOW_MOD_TABLE_ID: Error = Error(5, 2);
    pub const FLOW_MOD_OVERLAP: Error = Error(5, 3);
    pub const FLOW_MOD_COMMAND: Error = Error(5, 6);
    pub const FLOW_MOD_FLAGS: Error = Error(5, 7);

    pub const GROUP_MOD_EXISTS: Error = Error(6, 0);
    pub const GROUP_MOD_INVALID: Error = Error(6, 1);
    pub const GROUP_MOD_OUT_OF_GROUPS: Error = Error(6, 3);
    pub const GROUP_MOD_OUT_OF_BUCKETS: Error = Error(6, 4);
    pub const GROUP_MOD_CHAINING: Error = Error(6, 5);
    pub const GROUP_MOD_WATCH: Error = Error(6, 6);
    pub const GROUP_MOD_UNKNOWN: Error = Error(6, 8);
    pub const GROUP_MOD_TYPE: Error = Error(6, 10);
    pub const GROUP_MOD_COMMAND: Error = Error(6, 11);
    pub const GROUP_MOD_BUCKET: Error = Error(6, 12);

    pub const SET_CONFIG_FLAGS: Error = Error(10, 0);

    pub const ROLE_STALE: Error = Error(11, 0);
    pub const ROLE_BAD: Error = Error(11, 2);

    pub const METER_MOD_EXISTS: Error = Error(12, 1);
    pub const METER_MOD_INVALID: Error = Error(12, 2);
    pub const METER_MOD_UNKNOWN: Error = Error(12, 3);
    pub const METER_MOD_COMMAND: Error = Error(12, 4);
    pub const METER_MOD_FLAGS: Error = Error(12, 5);
    pub const METER_MOD_BAND: Error = Error(12, 8);
    pub const METER_MOD_OUT_OF_METERS: Error = Error(12, 10);
    pub const METER_MOD_OUT_OF_BANDS: Error = Error(12, 11);

    pub const TABLE_FEATURES_EPERM: Error = Error(13, 5);
}

/// Bytes to the next multiple of 8: most structures of the protocol are padded so.
pub const fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

/// One whole message. `body` writes behind the header; the length is filled in afterwards. A body too long for the 16-bit length
/// is a bug of the caller: what does not fit is cut, so that the stream at least stays framed.
pub fn message(out: &mut Vec<u8>, kind: u8, xid: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([VERSION, kind, 0, 0]);
    out.extend(xid.to_be_bytes());
    body(out);
    out.truncate(start + usize::from(u16::MAX));
    fill_length(out, start + 2, start);
}

/// Writes the length from `start` to the end of `out` at `at`.
pub fn fill_length(out: &mut [u8], at: usize, start: usize) {
    let length = u16::try_from(out.len().saturating_sub(start)).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

pub fn zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, 0);
}
