//! Where a request's head ends, and whether its lines end as they must.
//!
//! hyper takes a lone line feed for the end of a line. A proxy before this server that
//! takes it for a part of the line sees other headers, and so another end of the request:
//! what one client sends would become the beginning of another's request. So a lone line
//! feed in a head is refused. Which bytes are a head is known by being told, at each
//! request, how long its body is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How many bytes of a body are still to come before the next head.
#[derive(Clone, Default)]
pub(super) struct Framing(Arc<AtomicU64>);

/// The value of [`Framing`] where the body's length is not known.
const UNKNOWN: u64 = u64::MAX;

impl Framing {
    /// A request's head has been read; its body has `length` bytes. Where that is not
    /// known, nothing more is looked at, and the connection has to end with this request.
    pub(super) fn body_of(&self, length: Option<u64>) {
        self.0.store(length.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    fn remaining(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn passed(&self, bytes: usize) {
        let remaining = self.remaining();
        if remaining != UNKNOWN {
            self.body_of(Some(remaining.saturating_sub(bytes as u64)));
        }
    }
}

/// A lone line feed in a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoneLineFeed;

/// Reads along with what arrives on a connection.
pub(super) struct Heads {
    framing: Framing,
    before: u8,
    /// Whether the line being read has anything in it, and the head any such line.
    line: bool,
    head: bool,
}

impl Heads {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            before: 0,
            line: false,
            head: false,
        }
    }

    /// How many of `bytes`, at least one where there is one, may be passed on before the
    /// framing has to be asked again: at most to the end of a head, or of a body.
    ///
    /// # Errors
    /// [`LoneLineFeed`] where one stands in a head.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Result<usize, LoneLineFeed> {
        let remaining = self.framing.remaining();
        if remaining > 0 {
            let passed = usize::try_from(remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
            self.framing.passed(passed);
            return Ok(passed);
        }
        let mut from = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[from..]) {
            let end = from + length;
            self.read(&bytes[from..end]);
            if std::mem::replace(&mut self.before, b'\n') != b'\r' {
                return Err(LoneLineFeed);
            }
            from = end + 1;
            let line_was_empty = !std::mem::take(&mut self.line);
            // Empty lines before a request are passed over.
            if line_was_empty && std::mem::take(&mut self.head) {
                return Ok(from);
            }
        }
        self.read(&bytes[from..]);
        Ok(bytes.len())
    }

    /// Reads a part of a line, without the line feed at its end.
    fn read(&mut self, part: &[u8]) {
        self.before = part.last().copied().unwrap_or(self.before);
        if part.iter().any(|byte| *byte != b'\r') {
            (self.line, self.head) = (true, true);
        }
    }
}

/// For `fuzz/`: however `bytes` are cut on their way, the same heads are found in them, and
/// the same lone line feed. Each head has a body as long as its last byte but four says.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_along(bytes: &[u8], cuts: &[u8]) {
    let whole = ends_of_heads(std::iter::once(bytes));
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*cut)));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(ends_of_heads(pieces.into_iter()), whole);
}

#[cfg(feature = "fuzzing")]
fn ends_of_heads<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<usize>, LoneLineFeed> {
    let framing = Framing::default();
    let mut heads = Heads::new(framing.clone());
    let (mut at, mut ends, mut passed) = (0, Vec::new(), Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            let in_head = framing.remaining() == 0;
            let was_begun = heads.head;
            let length = heads.pass(piece)?;
            // Empty lines before a head are none of it.
            let is_begun = was_begun || piece[..length].iter().any(|byte| !b"\r\n".contains(byte));
            assert!(length > 0, "something is always passed on");
            at += length;
            passed.extend_from_slice(&piece[..length]);
            piece = &piece[length..];
            if in_head && is_begun && !heads.head {
                ends.push(at);
                let body = passed.len().checked_sub(5).map_or(0, |place| passed[place]);
                framing.body_of(Some(body.into()));
            }
        }
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    fn heads() -> (Heads, Framing) {
        let framing = Framing::default();
        (Heads::new(framing.clone()), framing)
    }

    #[test]
    fn a_head_is_passed_to_its_end() {
        let (mut heads, _) = heads();
        assert_eq!(heads.pass(&[GET, b"GET"].concat()), Ok(GET.len()));
        assert_eq!(heads.pass(b"GET"), Ok(3));
    }

    #[test]
    fn a_body_is_passed_whatever_is_in_it() {
        let (mut heads, framing) = heads();
        assert_eq!(heads.pass(GET), Ok(GET.len()));
        framing.body_of(Some(4));
        assert_eq!(heads.pass(b"a\n"), Ok(2));
        assert_eq!(heads.pass(b"\n\nGET\n"), Ok(2));
        assert_eq!(heads.pass(b"GET\n"), Err(LoneLineFeed));
    }

    #[test]
    fn a_body_of_unknown_length_is_passed_to_the_end_of_the_connection() {
        let (mut heads, framing) = heads();
        framing.body_of(None);
        for bytes in ["5\r\na\nb\nc\r\n", "\n\n"] {
            assert_eq!(heads.pass(bytes.as_bytes()), Ok(bytes.len()));
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_passed_over() {
        let (mut heads, _) = heads();
        let bytes = [b"\r\n\r\n", GET, b"x"].concat();
        assert_eq!(heads.pass(&bytes), Ok(bytes.len() - 1));
    }

    proptest! {
        #[test]
        fn a_lone_line_feed_is_found_however_a_head_arrives(
            at in 0..GET.len(),
            cut in 0..=GET.len(),
        ) {
            let (mut heads, _) = heads();
            prop_assume!(GET[at] != b'\n');
            let mut bytes = GET.to_vec();
            bytes.insert(at, b'\n');
            // After a carriage return that stands alone it ends a line.
            prop_assume!(at == 0 || bytes[at - 1] != b'\r');
            let (first, second) = bytes.split_at(cut);
            let found = heads.pass(first).and_then(|_| heads.pass(second));
            prop_assert_eq!(found, Err(LoneLineFeed));
        }
    }
}
