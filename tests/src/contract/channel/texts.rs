//! What a channel promises of texts, and of its pace.

use std::sync::Arc;

use consumer::ports::{Channel, Text};

use super::{ChannelUnderTest, LONG};

fn channel<C: ChannelUnderTest>() -> Arc<dyn Channel> {
    C::open("http://127.0.0.1:9", LONG)
}

pub async fn its_pace_can_be_kept<C: ChannelUnderTest>() {
    let pace = channel::<C>().pace();
    assert!(pace.burst >= 1);
    assert!(pace.per_second.is_none_or(|rate| rate > 0.0));
}

pub async fn a_text_is_at_least_one_message_and_always_the_same<C: ChannelUnderTest>() {
    let channel = channel::<C>();
    for text in ["", "[high] node1 down", "<&>\"\\\n장애 👨‍👩‍👧‍👦"] {
        let parts = channel.parts(Text::plain(text));
        assert_eq!(parts.len(), 1);
        assert_eq!(channel.parts(Text::plain(text)), parts);
    }
}

pub async fn a_text_within_the_limit_is_one_message<C: ChannelUnderTest>() {
    let channel = channel::<C>();
    let limit = channel.text_limit();
    for piece in ["x", "&", "\"", "가"] {
        let fits = piece.repeat(limit.most / (limit.width)(piece));
        assert_eq!(channel.parts(Text::plain(&fits)).len(), 1, "{piece}");
        let joined = [fits.as_str(), piece].concat();
        let sum = (limit.width)(&fits) + (limit.width)(piece);
        assert_eq!((limit.width)(&joined), sum, "{piece}");
        assert!(channel.parts(Text::plain(&joined)).len() > 1, "{piece}");
    }
}

pub async fn a_longer_text_is_several_each_marked_and_within_the_limit<C: ChannelUnderTest>() {
    let channel = channel::<C>();
    let words = (0..20_000).map(|number| format!("word{number} "));
    let text: String = words.collect();
    let parts = channel.parts(Text::plain(&text));
    let count = parts.len();
    let mut whole = String::new();
    for (number, part) in (1..).zip(&parts) {
        let content = part.strip_suffix(&format!(" ({number}/{count})"));
        whole += content.unwrap_or_else(|| panic!("part {number} is not marked"));
        assert!((channel.text_limit().width)(part) <= channel.text_limit().most);
    }
    assert_eq!(whole, text);
}
