//! `error-notifier`: tells the right people about incidents, in real time.
//!
//! One binary holds the servers (`serve`, `producer`, `consumer`, `demo`,
//! `mockup`), the commands that talk to a running server over HTTP (`send`, `user`, `group`, `directory`,
//! `health`), and `backup`. The servers are put together in `run`; everything
//! that a person types is declared in `cli`, every setting in `config`.

mod cli;
mod client;
mod config;
mod logging;
mod run;

use std::process::ExitCode;

use cli::failure::Failure;
use cli::{Cli, Command};
use config::parse::Stop;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match config::parse::parse::<Cli>(&arguments) {
        Ok(cli) => match dispatch(cli.command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        },
        Err(stop) => end(stop),
    }
}

/// Runs one command to its end.
fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(settings) => run::serve(*settings),
        Command::Producer(settings) => run::producer(*settings),
        Command::Consumer(settings) => run::consumer(*settings),
        Command::Migrate(settings) => run::migrate(settings),
        Command::Demo(settings) => run::demo(*settings),
        Command::Mockup(settings) => run::mockup(settings),
        Command::Send(arguments) => cli::block_on(cli::send::run(arguments)),
        Command::Alert { command } => cli::block_on(cli::alert::run(command)),
        Command::DeadLetter { command } => cli::block_on(cli::dead_letter::run(command)),
        Command::Destination { command } => cli::block_on(cli::destination::run(command)),
        Command::User { command } => cli::block_on(cli::user::run(command)),
        Command::Group { command } => cli::block_on(cli::group::run(command)),
        Command::Directory { command } => cli::block_on(cli::directory::run(command)),
        Command::Secrets { command } => cli::block_on(cli::secrets::run(command)),
        Command::Audit(arguments) => cli::block_on(cli::audit::run(arguments)),
        Command::Token { command } => cli::block_on(cli::token::run(command)),
        Command::Backup(arguments) => cli::backup::run(&arguments),
        Command::Health(arguments) => cli::block_on(cli::health::run(arguments)),
        Command::Completions { shell } => cli::completions(shell),
    }
}

/// Ends a call that asked for a text, or that was written wrongly.
fn end(stop: Stop) -> ExitCode {
    match stop {
        Stop::Shown(message) => {
            // Nobody is left to tell where standard output is closed.
            let _ = message.print();
            ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2))
        }
        Stop::Settings(text) => match cli::print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        },
        Stop::Wrong(line) => Failure::BadInput(line).report(),
    }
}
