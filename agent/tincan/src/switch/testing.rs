//! Helpers of this module's tests: bytes that can be checked by eye, and messages built without the production writer.

/// Bytes from hex digits with any white space between them.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("a hex digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A message of version 4 with its length filled in.
pub fn message(kind: u8, xid: u32, body: &str) -> Vec<u8> {
    let body = hex(body);
    let length = (8 + body.len()) as u16;
    [&[4, kind][..], &length.to_be_bytes(), &xid.to_be_bytes(), &body].concat()
}

/// The messages of a stream: type, xid, body.
pub fn messages(mut stream: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut all = Vec::new();
    while !stream.is_empty() {
        let length = usize::from(u16::from_be_bytes([stream[2], stream[3]]));
        let xid = u32::from_be_bytes([stream[4], stream[5], stream[6], stream[7]]);
        all.push((stream[1], xid, stream[8..length].to_vec()));
        stream = &stream[length..];
    }
    all
}
