//! What is kept of what was received: the newest, bounded in number and in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::settings::Settings;

/// A post that is kept to be looked at.
pub(crate) trait Kept: Send + Sync {
    /// The channel that it was for.
    fn channel(&self) -> &str;

    /// What it takes of the bytes that may be kept.
    fn bytes(&self) -> usize;

    /// Its request has ended now, in that way.
    fn ended(&self, how: fn(u64) -> End);
}

/// How the request of a post ended, and when (microseconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer was handed to the connection.
    Sent(u64),
    /// The connection was closed unanswered, on purpose.
    Lost(u64),
    /// The client went away, or the mockup stopped, before the answer.
    ClientGone(u64),
}

/// The newest posts of one kind.
pub(crate) struct Ring<T> {
    posts: VecDeque<Arc<T>>,
    bytes: usize,
    settings: Settings,
}

impl<T: Kept> Ring<T> {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            posts: VecDeque::new(),
            bytes: 0,
            settings,
        }
    }

    pub(crate) fn push(&mut self, post: Arc<T>) {
        self.bytes += post.bytes();
        self.posts.push_back(post);
        while self.posts.len() > self.settings.keep_messages
            || self.bytes > self.settings.keep_bytes
        {
            let Some(oldest) = self.posts.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }

    /// The newest `limit` posts, of one channel if it is given, oldest first.
    pub(crate) fn newest(&self, channel: Option<&str>, limit: usize) -> Vec<Arc<T>> {
        let mut newest: Vec<_> = self
            .posts
            .iter()
            .rev()
            .filter(|post| channel.is_none_or(|channel| post.channel() == channel))
            .take(limit)
            .cloned()
            .collect();
        newest.reverse();
        newest
    }

    pub(crate) fn clear(&mut self) {
        self.posts.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Post(u64, &'static str);

    impl Kept for Post {
        fn channel(&self) -> &str {
            self.1
        }

        fn bytes(&self) -> usize {
            self.1.len()
        }

        fn ended(&self, _: fn(u64) -> End) {}
    }

    fn ring(keep_messages: usize, keep_bytes: usize, posts: &[&'static str]) -> Ring<Post> {
        let mut ring = Ring::new(Settings {
            keep_messages,
            keep_bytes,
        });
        for (number, channel) in (1..).zip(posts) {
            ring.push(Arc::new(Post(number, channel)));
        }
        ring
    }

    fn kept(ring: &Ring<Post>, channel: Option<&str>, limit: usize) -> Vec<u64> {
        let newest = ring.newest(channel, limit);
        newest.iter().map(|post| post.0).collect()
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let ring = ring(2, usize::MAX, &["C", "C", "C"]);
        assert_eq!(kept(&ring, None, usize::MAX), [2, 3]);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let ring = ring(usize::MAX, 10, &["1234", "1234", "12345678"]);
        assert_eq!(kept(&ring, None, usize::MAX), [3]);
    }

    #[test]
    fn a_ring_told_to_keep_nothing_keeps_nothing() {
        assert_eq!(kept(&ring(0, 0, &["C"]), None, usize::MAX), [0_u64; 0]);
    }

    #[test]
    fn the_newest_of_a_channel_come_oldest_first() {
        let ring = ring(9, 99, &["A", "B", "A", "A"]);
        assert_eq!(kept(&ring, Some("A"), 2), [3, 4]);
    }
}
