//! The report: a table in Markdown on standard output as it comes about, the same as JSON,
//! and plots.

mod plot;

use std::{fs, path::PathBuf};

use hdrhistogram::Histogram;
use serde::Serialize;
use tests::{figures::machine, harness::build_folder};

pub(crate) use plot::Series;

/// What was found so far.
pub(crate) struct Report {
    machine: String,
    scenarios: Vec<Scenario>,
    /// All that was printed.
    markdown: String,
    folder: PathBuf,
}

#[derive(Serialize)]
struct Scenario {
    name: &'static str,
    what: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    what: String,
    figure: String,
    goal: String,
    /// The figure that tells most of it, as a number.
    value: f64,
}

impl Report {
    /// Says what machine this is.
    pub(crate) fn begin() -> Self {
        let folder = build_folder()
            .unwrap_or_else(std::env::temp_dir)
            .join("bench");
        fs::create_dir_all(&folder).expect("the build folder can be written");
        let machine = machine::describe();
        let mut report = Self {
            machine,
            scenarios: Vec::new(),
            markdown: String::new(),
            folder,
        };
        report.say(&format!(
            "cores; fdatasync of 4 KiB, median and p99: {}",
            report.machine
        ));
        report
    }

    /// A scenario begins.
    pub(crate) fn scenario(&mut self, name: &'static str, what: &'static str) {
        self.say(&format!(
            "\n### {name}: {what}\n\n| what | figure | goal |\n|---|---|---|"
        ));
        self.scenarios.push(Scenario {
            name,
            what,
            rows: Vec::new(),
        });
    }

    /// A row; `goal` is empty where there is none.
    pub(crate) fn row(&mut self, what: &str, figure: &str, goal: &str, value: f64) {
        self.say(&format!("| {what} | {figure} | {goal} |"));
        if let Some(scenario) = self.scenarios.last_mut() {
            scenario.rows.push(Row {
                what: what.into(),
                figure: figure.into(),
                goal: goal.into(),
                value,
            });
        }
    }

    /// Lines over a logarithmic axis.
    pub(crate) fn plot(&self, name: &str, title: &str, axes: [&str; 2], series: &[Series]) {
        self.write(&format!("{name}.svg"), &plot::lines(title, axes, series));
    }

    /// How times are distributed.
    pub(crate) fn histogram(&self, name: &str, title: &str, times: &[(String, Histogram<u64>)]) {
        let series: Vec<Series> = times
            .iter()
            .map(|(name, times)| Series {
                name: name.clone(),
                points: percentiles(times),
            })
            .collect();
        let axes = ["1 / (1 - share)", "µs"];
        self.write(&format!("{name}.svg"), &plot::lines(title, axes, &series));
    }

    /// Writes what is there so far, so that a scenario that fails takes no other along.
    pub(crate) fn save(&self) {
        let report = serde_json::json!({ "machine": self.machine, "scenarios": self.scenarios });
        self.write("latest.json", &format!("{report:#}\n"));
        self.write("latest.md", &self.markdown);
    }

    /// Says where it is.
    pub(crate) fn end(self) {
        println!(
            "\nalso, with the plots, in {}: latest.md, latest.json",
            self.folder.display()
        );
    }

    fn say(&mut self, line: &str) {
        println!("{line}");
        self.markdown.push_str(line);
        self.markdown.push('\n');
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("the build folder can be written");
    }
}

fn percentiles(times: &Histogram<u64>) -> Vec<(f64, f64)> {
    [
        1.0, 2.0, 4.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0,
    ]
    .into_iter()
    .map(|one_in| (one_in, times.value_at_quantile(1.0 - 1.0 / one_in) as f64))
    .collect()
}

/// A time in milliseconds, of a histogram's microseconds.
pub(crate) fn ms(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}

/// Median, p99, p99.9 and the longest, as text.
pub(crate) fn spread(times: &Histogram<u64>) -> String {
    let at = |share| ms(times.value_at_quantile(share));
    format!(
        "{}, {}, {}, {}",
        at(0.5),
        at(0.99),
        at(0.999),
        ms(times.max())
    )
}
