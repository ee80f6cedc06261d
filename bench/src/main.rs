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

const USAGE: &str = "bench [--against PROGRAM] [SCENARIO...]
Measures the program that ERROR_NOTIFIER_BIN names, else one built now, and PROGRAM by
turns with it. All scenarios where none is named:";

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
            for (name, what, _) in scenarios::ALL {
                eprintln!("  {name:12} {what}");
            }
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for.
struct Wanted {
    scenarios: Vec<String>,
    against: Option<std::path::PathBuf>,
}

impl Wanted {
    fn read(arguments: &[String]) -> Result<Self, String> {
        let mut wanted = Self {
            scenarios: Vec::new(),
            against: None,
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
            } else if scenarios::ALL.iter().any(|(name, ..)| name == argument) {
                wanted.scenarios.push(argument.clone());
            } else {
                return Err(format!("there is no scenario {argument:?}"));
            }
        }
        Ok(wanted)
    }

    fn has(&self, name: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|one| one == name)
    }
}

fn measure(wanted: &Wanted) {
    let programs = subject::Programs::new(wanted.against.clone());
    let mut report = Report::begin();
    for (name, what, scenario) in scenarios::ALL {
        if wanted.has(name) {
            report.scenario(name, what);
            scenario(&programs, &mut report);
        }
    }
    report.end();
}
