//! Readers of foreign input, for those who try to break them: `fuzz/`.

use bytes::Bytes;

use crate::{alerts, connection, extract::JsonText, history};

/// Reads the body of an alert request.
pub fn alert_request(body: &[u8]) {
    // Refusals are for the caller; here it only has to come back.
    let _ = alerts::parse(&JsonText::of(Bytes::copy_from_slice(body)));
}

/// Reads a cursor as each list would; what is read must be written the same way.
pub fn cursor(text: &str) {
    history::cursor::reads_back(text);
}

/// Reads heads and bodies of HTTP/1 as they arrive, cut at these lengths.
pub fn heads(bytes: &[u8], cuts: &[u8]) {
    connection::read_along(bytes, cuts);
}
