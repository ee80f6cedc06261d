//! Figures: what the machine says of processes, what is said of times, and the table
//! that they stand in.

pub mod machine;
mod numbers;

pub use numbers::{Times, median, ms};

/// Prints the head of the table, as Markdown.
pub fn head() {
    println!("| what | figure | goal |\n|---|---|---|");
}

/// Prints a row of it; `goal` is empty where there is none.
pub fn row(what: &str, figure: &str, goal: &str) {
    println!("| {what} | {figure} | {goal} |");
}

/// The parts that the command line names, all of `parts` where it names none; ends the
/// program with a line on stderr where there is none of that name.
pub fn chosen<T>(parts: impl IntoIterator<Item = (&'static str, T)>) -> Vec<T> {
    let parts: Vec<_> = parts.into_iter().collect();
    let named: Vec<String> = std::env::args().skip(1).collect();
    let is_known = |name: &String| parts.iter().any(|(part, _)| part == name);
    if let Some(unknown) = named.iter().find(|name| !is_known(name)) {
        let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
        eprintln!(
            "there is no part {unknown:?}; there are: {}",
            names.join(" ")
        );
        std::process::exit(2);
    }
    let is_chosen = |name: &str| named.is_empty() || named.iter().any(|one| one == name);
    let chosen = parts.into_iter().filter(|(name, _)| is_chosen(name));
    chosen.map(|(_, part)| part).collect()
}
