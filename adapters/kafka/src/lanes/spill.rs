//! Rows that wait on disk: a temporary file without a name, in pieces. It goes with the
//! process, since `T.state` has all that is in it.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

/// A piece is closed when it is so long, and its room is given back once nothing in it
/// is used any more.
const PIECE: u32 = 16 << 20;

/// Where something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    piece: u32,
    start: u32,
    length: u32,
}

/// A file of slots.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    pieces: BTreeMap<u32, Piece>,
    /// The number of the piece that is being filled.
    current: u32,
}

#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    length: u32,
    /// Slots in use.
    used: u32,
}

/// Something to read, even if it is freed meanwhile.
#[derive(Debug)]
pub struct Found {
    file: Arc<File>,
    slot: Slot,
}

impl Spill {
    /// An empty one, whose files are made in `folder` when they are needed.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            pieces: BTreeMap::new(),
            current: 0,
        }
    }

    /// Writes something. Blocks as long as the disk does.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<Slot> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        if self.pieces.get(&self.current).is_some_and(Piece::is_full) {
            self.current += 1;
            self.give_back(self.current - 1);
        }
        if !self.pieces.contains_key(&self.current) {
            let file = Arc::new(tempfile::tempfile_in(&self.folder)?);
            let piece = Piece {
                file,
                length: 0,
                used: 0,
            };
            self.pieces.insert(self.current, piece);
        }
        let Some(piece) = self.pieces.get_mut(&self.current) else {
            return Err(io::Error::other("the piece has just been made"));
        };
        piece.file.write_all_at(bytes, piece.length.into())?;
        let slot = Slot {
            piece: self.current,
            start: piece.length,
            length,
        };
        piece.length = piece.length.saturating_add(length);
        piece.used += 1;
        Ok(slot)
    }

    /// What lies there, to be read by [`Found::read`]; an error where it was freed.
    pub fn find(&self, slot: Slot) -> io::Result<Found> {
        let piece = self.pieces.get(&slot.piece);
        let piece = piece.ok_or_else(|| io::Error::other("it was freed before it was read"))?;
        Ok(Found {
            file: Arc::clone(&piece.file),
            slot,
        })
    }

    /// It is not needed any more.
    pub fn free(&mut self, slot: Slot) {
        if let Some(piece) = self.pieces.get_mut(&slot.piece) {
            piece.used = piece.used.saturating_sub(1);
        }
        if slot.piece != self.current {
            self.give_back(slot.piece);
        }
    }

    /// How many bytes of disk it takes.
    pub fn size(&self) -> u64 {
        self.pieces
            .values()
            .map(|piece| u64::from(piece.length))
            .sum()
    }

    fn give_back(&mut self, number: u32) {
        if self
            .pieces
            .get(&number)
            .is_some_and(|piece| piece.used == 0)
        {
            self.pieces.remove(&number);
        }
    }
}

impl Piece {
    fn is_full(&self) -> bool {
        self.length >= PIECE
    }
}

impl Found {
    /// Reads it. Blocks as long as the disk does.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.slot.length as usize];
        self.file
            .read_exact_at(&mut bytes, self.slot.start.into())?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spill() -> Spill {
        Spill::new(std::env::temp_dir())
    }

    #[test]
    fn what_was_put_is_found_though_it_is_freed_meanwhile() {
        let mut spill = spill();
        let slots: Vec<_> = ["one", "", "three"]
            .iter()
            .map(|text| spill.put(text.as_bytes()).unwrap())
            .collect();
        let found = spill.find(slots[2]).unwrap();
        for slot in &slots {
            spill.free(*slot);
        }
        assert_eq!(found.read().unwrap(), b"three");
        assert_eq!(spill.find(slots[0]).unwrap().read().unwrap(), b"one");
    }

    #[test]
    fn the_room_of_a_piece_is_given_back_once_nothing_in_it_is_used() {
        let mut spill = spill();
        let long = vec![7; PIECE as usize];
        let first = spill.put(&long).unwrap();
        let second = spill.put(&long).unwrap();
        assert_eq!(spill.size(), 2 * u64::from(PIECE));
        spill.free(first);
        assert_eq!(spill.size(), u64::from(PIECE));
        assert!(spill.find(first).is_err());
        spill.free(second);
        let third = spill.put(b"more").unwrap();
        assert_eq!(spill.size(), 4);
        assert_eq!(spill.find(third).unwrap().read().unwrap(), b"more");
    }

    #[test]
    fn its_file_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::new(folder.path().into());
        spill.put(b"secret").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
