//! `make bench`: the figures, beside the limits of the machine they were measured on.
//!
//! A scenario runs the program as `serve` runs it, and the ceilings it is compared with,
//! by turns in one run; each in a process of its own. How it is measured, and why to
//! believe it: `bench/README.md`.
//!
//! | folder | what is in it |
//! |---|---|
//! | `scenarios` | what is measured, a file each |
//! | `ceilings` | bare programs that do a part of the work and nothing else |
//! | `load` | who posts, and who receives |
//! | `report` | the table, the JSON, the plots |

mod ceilings;
mod clock;
mod load;
mod report;
mod scenarios;
mod subject;

use std::process::ExitCode;

use report::Report;
use subject::{Programs, Run};

const USAGE: &str = "bench [--against PROGRAM] [--deliveries COUNT] [SCENARIO...]
Measures the program that ERROR_NOTIFIER_BIN names, else one built now, and PROGRAM by
turns with it. COUNT deliveries wait where many are to; 1000000 where it is not said. All scenarios where none is named, but for those with a star:";
/// Where the command line names no other.
const DELIVERIES: usize = 1_000_000;
const MOST_DELIVERIES: usize = 100_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == ceilings::COMMAND
    {
        return ceilings::run(rest);
    }
    match Wanted::read(&arguments) {
        Ok(wanted) => {
            measure(&wanted);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            for scenario in &scenarios::ALL {
                let star = if scenario.is_on_request { '*' } else { ' ' };
                eprintln!("{star} {:21} {}", scenario.name, scenario.what);
            }
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
struct Wanted {
    scenarios: Vec<String>,
    against: Option<std::path::PathBuf>,
    deliveries: usize,
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut wanted = Self {
            scenarios: Vec::new(),
            against: None,
            deliveries: DELIVERIES,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "--against" {
                let path = arguments.next().ok_or("--against names a program")?;
                let path = std::path::absolute(path).map_err(|error| error.to_string())?;
                if !path.is_file() {
                    return Err(format!("there is no program {}", path.display()));
                }
                wanted.against = Some(path);
            } else if argument == "--deliveries" {
                let count = arguments.next().and_then(|count| count.parse().ok());
                wanted.deliveries = count
                    .filter(|count| (1..=MOST_DELIVERIES).contains(count))
                    .ok_or(format!("--deliveries is from 1 to {MOST_DELIVERIES}"))?;
            } else if scenarios::ALL.iter().any(|one| one.name == argument) {
                wanted.scenarios.push(argument.clone());
            } else {
                return Err(format!("there is no scenario {argument:?}"));
            }
        }
        Ok(wanted)
    }

    fn has(&self, scenario: &scenarios::Scenario) -> bool {
        match self.scenarios.is_empty() {
            true => !scenario.is_on_request,
            false => self.scenarios.iter().any(|name| name == scenario.name),
        }
    }
}

fn measure(wanted: &Wanted) {
    let run = Run {
        programs: Programs::new(wanted.against.clone()),
        deliveries: wanted.deliveries,
    };
    let mut report = Report::begin();
    for scenario in scenarios::ALL.iter().filter(|one| wanted.has(one)) {
        report.scenario(scenario.name, scenario.what);
        (scenario.measure)(&run, &mut report);
        report.save();
    }
    report.end();
}
