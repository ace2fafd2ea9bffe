//! The control socket: lines cut anywhere, requests, and the answers to what is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tincan::control::{answer, parse, Lines};
use tincan_fuzz::bounded;

/// The lines of a stream that comes in these parts.
fn lines(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for part in parts {
        lines.push(part);
        while let Ok(Some(line)) = lines.next_line() {
            found.push(line);
        }
    }
    found
}

fn request(line: &[u8]) {
    let (id, failure) = match parse(line) {
        Ok((id, method)) => {
            let value: Value = serde_json::from_slice(line).expect("a request is JSON");
            assert_eq!(value["id"].as_u64(), Some(id));
            // Keys travel in requests: the log may print a method, but never those.
            let printed = format!("{method:?}");
            assert!(printed.len() <= 8 * line.len() + 1_024);
            return;
        }
        Err(refused) => refused,
    };
    let text = answer(id, Err(failure));
    assert!(text.len() <= 12 * line.len() + 1_024, "an answer much longer than its question");
    let (end, body) = text.split_last().expect("a line");
    assert!(*end == b'\n' && !body.contains(&b'\n'), "an answer is one line");
    let value: Value = serde_json::from_slice(body).expect("an answer is JSON");
    assert_eq!(value["id"].as_u64(), id);
    assert_eq!(value["error"]["code"], "bad-request");
}

fuzz_target!(|data: &[u8]| bounded(96 * data.len() + 64 * 1_024, || {
    let whole = lines(&[data]);
    for line in &whole {
        request(line);
    }
    if let Some((&cut, stream)) = data.split_first() {
        request(stream);
        let (head, tail) = data.split_at(usize::from(cut).min(data.len()));
        assert_eq!(lines(&[head, tail]), whole, "where the stream is cut changes its lines");
    }
}));
