//! What is known of the few deliveries, of very many, that have not ended.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// By sequence number.
pub(crate) type Sparse<T> = HashMap<u64, T, BuildHasherDefault<Spread>>;

/// Spreads consecutive numbers; the same in every run, so that a seed replays.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Numbers from zero on that something is true of, one bit each.
#[derive(Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn set(&mut self, number: u64) {
        let word = usize::try_from(number / 64).unwrap();
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        let word = self.0.get(usize::try_from(number / 64).unwrap());
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}
