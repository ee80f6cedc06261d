//! Reads a record of system calls and holds each 200 against the syncs before it.
//!
//! For each alert id in an answer of 200 there must be, in this order:
//!
//! 1. the last write to the write-ahead log (`…-wal`) of the first transaction that
//!    holds the id's 16 bytes: a frame's header with a commit mark, then its page
//!    (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>);
//! 2. the beginning of an `fdatasync` or `fsync` of that file, which
//! 3. returns 0, before
//! 4. the beginning of the call that writes the answer to its socket.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

/// What strace has to be told: all threads, paths of descriptors, all strings in
/// hexadecimal and whole, and the calls that write or sync.
pub const STRACE: [&str; 9] = [
    "-D",
    "-f",
    "-q",
    "-y",
    "-xx",
    "-s",
    "65536",
    "-e",
    "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync",
];

const FRAME_HEADER: usize = 24;

/// What the record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Alerts answered with 200.
    pub answers: usize,
    /// Syncs of the write-ahead log that succeeded.
    pub syncs: usize,
    /// Answers that were written too early, in words.
    pub too_early: Vec<String>,
}

/// One thing that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// So much of the log was written.
    Logged(Vec<u8>),
    /// A sync of the log began, in this thread.
    SyncBegan(u32),
    /// The one of this thread succeeded.
    SyncSucceeded(u32),
    /// The answer of 200 about this alert is about to be written.
    Answering(Uuid),
}

/// Judges a record that strace made with [`STRACE`].
pub fn examine(record: &str) -> Findings {
    judge(&read(record))
}

fn judge(events: &[Event]) -> Findings {
    let ids = events.iter().filter_map(|event| match event {
        Event::Answering(id) => Some(*id.as_bytes()),
        _ => None,
    });
    let ids: HashSet<[u8; 16]> = ids.collect();

    let mut findings = Findings {
        answers: ids.len(),
        ..Findings::default()
    };
    // Where in the record each id's transaction was written to its end.
    let mut written: HashMap<[u8; 16], usize> = HashMap::new();
    let mut transaction = HashSet::new();
    let mut is_last_frame = false;
    let mut begun: HashMap<u32, usize> = HashMap::new();
    // All that was written before here is on the disk.
    let mut durable = 0;
    for (place, event) in events.iter().enumerate() {
        match event {
            Event::Logged(header) if header.len() == FRAME_HEADER => {
                is_last_frame = header[4..8] != [0; 4];
            }
            Event::Logged(page) => {
                transaction.extend(found_in(page, &ids));
                if std::mem::take(&mut is_last_frame) {
                    for id in transaction.drain() {
                        written.entry(id).or_insert(place);
                    }
                }
            }
            Event::SyncBegan(thread) => {
                begun.insert(*thread, place);
            }
            Event::SyncSucceeded(thread) => {
                findings.syncs += 1;
                durable = durable.max(begun.remove(thread).unwrap_or_default());
            }
            Event::Answering(id) => match written.get(id.as_bytes()) {
                Some(place) if *place < durable => {}
                Some(_) => findings
                    .too_early
                    .push(format!("{id} was answered before it was synced")),
                None => findings
                    .too_early
                    .push(format!("{id} was answered before it was written")),
            },
        }
    }
    findings
}

fn found_in(page: &[u8], ids: &HashSet<[u8; 16]>) -> Vec<[u8; 16]> {
    page.windows(16)
        // A UUID's version and variant, to look up few.
        .filter(|window| window[6] >> 4 == 7 && window[8] >> 6 == 2)
        .filter_map(|window| ids.get(window).copied())
        .collect()
}

fn read(record: &str) -> Vec<Event> {
    let mut events = Vec::new();
    // Syncs of the log that have not returned, by thread.
    let mut syncing = HashSet::new();
    for line in record.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let Ok(thread) = thread.parse::<u32>() else {
            continue;
        };
        let call = call.trim_start();
        let has_succeeded = call
            .rsplit_once(" = ")
            .is_some_and(|(_, result)| result.trim() == "0");
        if call.starts_with("<... ") {
            if call.contains("sync resumed>") && syncing.remove(&thread) && has_succeeded {
                events.push(Event::SyncSucceeded(thread));
            }
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else {
            continue;
        };
        let path = path(arguments);
        match name {
            "pwrite64" | "write" if path.ends_with("-wal") => {
                events.push(Event::Logged(strings(arguments)))
            }
            "fsync" | "fdatasync" if path.ends_with("-wal") => {
                events.push(Event::SyncBegan(thread));
                if call.ends_with("<unfinished ...>") {
                    syncing.insert(thread);
                } else if has_succeeded {
                    events.push(Event::SyncSucceeded(thread));
                }
            }
            "write" | "writev" | "sendto" | "sendmsg" if path.starts_with("socket:") => {
                events.extend(answered_alert(&strings(arguments)).map(Event::Answering));
            }
            _ => {}
        }
    }
    events
}

/// The alert that an answer of 200 is about; `None` for all else.
fn answered_alert(data: &[u8]) -> Option<Uuid> {
    let text = String::from_utf8_lossy(data);
    if !text.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    let (_, after) = text.split_once("\"alertId\":\"")?;
    after.get(..36)?.parse().ok()
}

/// The path of the descriptor that is a call's first argument: `9<\x2f\x61>, …`.
fn path(arguments: &str) -> String {
    let inside = arguments.split_once('<').and_then(|(number, rest)| {
        let is_first = number.bytes().all(|byte| byte.is_ascii_digit());
        rest.split_once('>')
            .map(|(path, _)| path)
            .filter(|_| is_first)
    });
    String::from_utf8_lossy(&unescaped(inside.unwrap_or_default())).into_owned()
}

/// All strings of a call, one after the other.
fn strings(arguments: &str) -> Vec<u8> {
    // Every second piece is between quotation marks; within, all is hexadecimal.
    arguments
        .split('"')
        .skip(1)
        .step_by(2)
        .flat_map(unescaped)
        .collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    if !text.starts_with("\\x") {
        return text.as_bytes().to_vec();
    }
    text.split("\\x")
        .skip(1)
        .filter_map(|byte| u8::from_str_radix(byte, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn header(is_commit: bool) -> String {
        let mut bytes = [0; FRAME_HEADER];
        bytes[7] = u8::from(is_commit);
        format!(
            "7 pwrite64(9<{}>, \"{}\", 24, 32) = 24",
            hex(b"/d/e.db-wal"),
            hex(&bytes)
        )
    }

    fn page(has_id: bool) -> String {
        let mut bytes = vec![0; 64];
        if has_id {
            bytes[20..36].copy_from_slice(ID.parse::<Uuid>().unwrap().as_bytes());
        }
        format!(
            "7 pwrite64(9<{}>, \"{}\", 64, 56) = 64",
            hex(b"/d/e.db-wal"),
            hex(&bytes)
        )
    }

    fn sync(result: &str) -> String {
        format!("7 fdatasync(9<{}>) = {result}", hex(b"/d/e.db-wal"))
    }

    fn answer() -> String {
        let text = format!("HTTP/1.1 200 OK\r\n\r\n{{\"data\":{{\"alertId\":\"{ID}\"}}}}");
        format!(
            "8 writev(12<{}>, [{{iov_base=\"{}\", iov_len=9}}], 1) = 9",
            hex(b"socket:[5]"),
            hex(text.as_bytes())
        )
    }

    fn findings(lines: &[String]) -> Findings {
        examine(&lines.join("\n"))
    }

    #[test]
    fn an_answer_after_the_sync_of_its_transaction_is_well() {
        let found = findings(&[
            header(false),
            page(true),
            header(true),
            page(false),
            sync("0"),
            answer(),
        ]);
        assert_eq!(
            found,
            Findings {
                answers: 1,
                syncs: 1,
                too_early: vec![]
            }
        );
    }

    #[test]
    fn an_answer_before_or_without_the_sync_is_found() {
        for lines in [
            vec![header(true), page(true), answer(), sync("0")],
            vec![header(true), page(true), answer()],
            vec![sync("0"), header(true), page(true), answer()],
            vec![header(true), page(false), sync("0"), answer()],
        ] {
            assert_eq!(findings(&lines).too_early.len(), 1, "{lines:#?}");
        }
    }

    #[test]
    fn a_sync_that_failed_or_has_not_returned_or_began_too_early_does_not_count() {
        let path = hex(b"/d/e.db-wal");
        let begin = format!("7 fdatasync(9<{path}> <unfinished ...>");
        let end = "7 <... fdatasync resumed>)           = 0".to_owned();
        let frame = [header(true), page(true)];
        let well = [&frame[..], &[begin.clone(), end.clone(), answer()]].concat();
        assert!(findings(&well).too_early.is_empty());
        for lines in [
            [&frame[..], &[sync("-1 EIO (Input/output error)"), answer()]].concat(),
            [&frame[..], &[begin.clone(), answer(), end.clone()]].concat(),
            [
                std::slice::from_ref(&begin),
                &frame,
                &[end.clone(), answer()],
            ]
            .concat(),
        ] {
            assert_eq!(findings(&lines).too_early.len(), 1, "{lines:#?}");
        }
    }

    #[test]
    fn a_sync_in_the_middle_of_the_transaction_does_not_count() {
        let lines = [
            header(false),
            page(true),
            sync("0"),
            header(true),
            page(false),
            answer(),
        ];
        assert_eq!(findings(&lines).too_early.len(), 1);
    }

    #[test]
    fn a_page_that_is_written_again_later_does_not_need_another_sync() {
        let lines = [
            header(true),
            page(true),
            sync("0"),
            header(true),
            page(true),
            answer(),
        ];
        assert!(findings(&lines).too_early.is_empty());
    }
}
