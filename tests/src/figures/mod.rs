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
