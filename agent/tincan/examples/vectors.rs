//! Writes `test/vectors/*.json` (wire.md §11) from fixed seeds: `cargo run --example vectors`.
//!
//! `tests/vectors.rs` includes this file and compares; so a change of a format shows up as a difference in the vectors, and the
//! TypeScript tests, which read the same files, judge it independently.

#[path = "vectors/objects.rs"]
mod objects;
#[path = "vectors/records.rs"]
mod records;
#[path = "vectors/sessions.rs"]
mod sessions;

pub use objects::key_pair;
use ring::digest::{digest, SHA256};
use serde_json::{json, Value};

/// Every file: name without `.json`, and its content.
pub fn files() -> Vec<(&'static str, Value)> {
    vec![
        ("identifiers", objects::identifiers()),
        ("certificate", objects::certificate()),
        ("parameters", objects::parameters()),
        ("revocations", objects::revocations()),
        ("mac", objects::mac()),
        ("routing", records::routing()),
        ("session", sessions::session()),
        ("handshake", sessions::handshake()),
        ("frame", records::frame()),
        ("fragment", records::fragment()),
        ("flood", records::flood()),
        ("probe", records::probe()),
        ("control", records::control()),
        ("notice", records::notice()),
        ("relay", records::relay()),
    ]
}

/// As it stands in the file.
pub fn text(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("values of ours print") + "\n"
}

pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes that anybody can derive again from a name.
pub fn seed(name: &str) -> [u8; 32] {
    let hash = digest(&SHA256, format!("evio vector {name}").as_bytes());
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn refused(cases: &[(&str, Vec<u8>, &str)]) -> Value {
    cases.iter().map(|(name, input, reason)| json!({ "name": name, "input": hex(input), "reason": reason })).collect()
}

/// `bytes` with one of them changed.
fn patched(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out[at] = value;
    out
}

#[allow(dead_code)]
fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/vectors");
    std::fs::create_dir_all(folder).expect("the repository is writable");
    for (name, value) in files() {
        std::fs::write(format!("{folder}/{name}.json"), text(&value)).expect("the repository is writable");
    }
}
