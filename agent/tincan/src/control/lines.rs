//! Cuts a byte stream into lines.

/// A line longer than this ends the connection: nothing legal is that long.
pub const LINE_MAX: usize = 1 << 20;
/// What a connection keeps of its buffer once a long line has been taken out.
const KEPT: usize = 64 * 1024;

#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out already.
    given: usize,
    /// Bytes of the buffer that hold no line end behind those.
    searched: usize,
}

/// The line was longer than [`LINE_MAX`].
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.given);
        self.searched -= self.given;
        self.given = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(KEPT);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its end.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let fresh = self.buffer.get(self.searched..).unwrap_or(&[]);
        let end = fresh.iter().position(|&byte| byte == b'\n').map(|at| self.searched + at);
        self.searched = end.unwrap_or(self.buffer.len());
        let line = self.buffer.get(self.given..self.searched).unwrap_or(&[]);
        if line.len() > LINE_MAX {
            return Err(TooLong);
        }
        let Some(end) = end else { return Ok(None) };
        // A copy of these bytes alone: the lines of one read must not each hold all of it.
        let line = line.to_vec();
        (self.given, self.searched) = (end + 1, end + 1);
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_wherever_the_stream_was_cut() {
        let stream = b"one\n\ntwo\nthr";
        for cut in 0..=stream.len() {
            let mut lines = Lines::default();
            let mut seen = vec![];
            for part in [&stream[..cut], &stream[cut..]] {
                lines.push(part);
                while let Some(line) = lines.next_line().unwrap() {
                    seen.push(line);
                }
            }
            assert_eq!(seen, [b"one".to_vec(), vec![], b"two".to_vec()], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_MAX]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next_line(), Err(TooLong));
    }

    /// Found by fuzzing: every line kept the room of all that came behind it, gigabytes for one read of "x\n".
    #[test]
    fn short_lines_take_no_more_memory_than_they_have_bytes() {
        let mut lines = Lines::default();
        lines.push(&b"xy\n".repeat(100_000));
        let mut held = 0;
        while let Some(line) = lines.next_line().unwrap() {
            held += line.capacity();
        }
        assert!(held <= 4 * 100_000, "{held} bytes");
    }

    #[test]
    fn a_line_of_the_greatest_length_is_taken_wherever_it_stands() {
        let mut lines = Lines::default();
        lines.push(b"short\n");
        lines.push(&vec![b'x'; LINE_MAX]);
        lines.push(b"\nmore");
        assert_eq!(lines.next_line(), Ok(Some(b"short".to_vec())));
        assert_eq!(lines.next_line().unwrap().map(|line| line.len()), Some(LINE_MAX));
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next_line(), Ok(Some(b"more".to_vec())));
    }
}
