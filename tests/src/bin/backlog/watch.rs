//! Watching a process, and what arrives.

use std::{collections::HashMap, time::Instant};

use tests::{
    figures::machine,
    harness::{Message, Server},
};

/// A while of a process.
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn begin(server: &Server) -> Self {
        machine::forget_peak(server.process.id());
        Self(Instant::now())
    }

    /// How long it has been.
    pub(crate) fn took(&self) -> String {
        format!("{:.1} s", self.0.elapsed().as_secs_f64())
    }

    /// The most memory that the process had since.
    pub(crate) fn peak(&self, server: &Server) -> String {
        let mib = machine::peak_mib(server.process.id());
        format!("{mib:.0} MiB ({:.0} MB)", mib * 1.048_576)
    }
}

/// Requests to Slack that this process has made.
pub(crate) fn attempts(server: &Server) -> u64 {
    let text = server.request("GET", "/metrics", "").text();
    let counts = text
        .lines()
        .filter(|line| line.starts_with("error_notifier_delivery_attempts_total"));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// How many of the texts that each channel must see are in none of its messages.
pub(crate) fn missing(texts: &[Vec<String>], messages: &[Message]) -> usize {
    let mut arrived: HashMap<&str, Vec<&str>> = HashMap::new();
    for message in messages {
        arrived
            .entry(&message.channel)
            .or_default()
            .push(&message.text);
    }
    let missing = texts.iter().zip(1..).map(|(texts, number)| {
        let there = arrived.get(format!("C{number}").as_str());
        let is_there = |text: &&String| {
            there.is_some_and(|there| there.iter().any(|one| one.contains(text.as_str())))
        };
        texts.iter().filter(|text| !is_there(text)).count()
    });
    missing.sum()
}
