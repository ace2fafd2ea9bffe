//! An input as a list of steps: `kind (1) | length (2, little-endian) | bytes`. What is cut short is taken as far as it goes, so that
//! every input means something.

pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Script(data)
    }
}

impl<'a> Iterator for Script<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[kind, low, high], rest) = self.0.split_first_chunk::<3>()?;
        let (bytes, rest) = rest.split_at(usize::from(u16::from_le_bytes([low, high])).min(rest.len()));
        self.0 = rest;
        Some((kind, bytes))
    }
}

/// The first `N` bytes, zeros where there are fewer, and what follows them.
pub fn head<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes.split_at(N.min(bytes.len()));
    let mut out = [0; N];
    out[..first.len()].copy_from_slice(first);
    (out, rest)
}
