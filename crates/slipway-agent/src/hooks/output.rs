//! From the bytes that a script prints to log entries: lines, bounded, without terminal escapes (AP-31).

use crate::logs::plain;

/// A longer line is logged in pieces, so that one line cannot fill the memory.
const LONGEST: usize = 16 * 1024;

/// Splits a stream of bytes into lines.
#[derive(Debug)]
pub(super) struct Lines {
    prefix: &'static str,
    pending: Vec<u8>,
}

impl Lines {
    /// Lines of one stream; `prefix` is `[stdout]` or `[stderr]` (AG-073).
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, pending: Vec::new() }
    }

    /// Takes some bytes and adds the entries of all lines that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8], entries: &mut Vec<String>) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let complete = parts.peek().is_some();
            let mut rest = part;
            while self.pending.len() + rest.len() > LONGEST {
                let (piece, later) = rest.split_at(LONGEST - self.pending.len());
                self.pending.extend_from_slice(piece);
                self.flush(entries);
                rest = later;
            }
            self.pending.extend_from_slice(rest);
            if complete {
                self.flush(entries);
            }
        }
    }

    /// Adds the last line, if it did not end.
    pub(super) fn finish(&mut self, entries: &mut Vec<String>) {
        if !self.pending.is_empty() {
            self.flush(entries);
        }
    }

    fn flush(&mut self, entries: &mut Vec<String>) {
        // Bytes that are not UTF-8 are replaced: a report must always be text (AP-14).
        let text = String::from_utf8_lossy(&self.pending);
        entries.push(format!("{}{}", self.prefix, plain(&text)));
        self.pending.clear();
        self.pending.shrink_to(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Lines};
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]]) -> Vec<String> {
        let mut entries = Vec::new();
        let mut lines = Lines::new("[stdout]");
        for chunk in chunks {
            lines.feed(chunk, &mut entries);
        }
        lines.finish(&mut entries);
        entries
    }

    #[test]
    fn lines_are_found_across_reads_and_the_last_needs_no_end() {
        assert_eq!(
            all(&[b"on", b"e\r\ntw", b"o\n\nend"]),
            ["[stdout]one", "[stdout]two", "[stdout]", "[stdout]end"]
        );
        assert!(all(&[]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut_into_pieces() {
        let entries = all(&[&vec![b'a'; LONGEST * 2 + 5]]);
        assert_eq!(entries.iter().map(|entry| entry.len() - 8).collect::<Vec<_>>(), [LONGEST, LONGEST, 5]);
    }

    proptest! {
        /// Any bytes, cut anywhere, give the same text and never a control character.
        #[test]
        fn any_output_is_safe_to_report(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
            let at = at.min(bytes.len());
            let whole = all(&[&bytes]);
            prop_assert_eq!(&all(&[&bytes[..at], &bytes[at..]]), &whole);
            prop_assert!(whole.iter().flat_map(|entry| entry.chars()).all(|c| c == '\t' || !c.is_control()));
        }
    }
}
