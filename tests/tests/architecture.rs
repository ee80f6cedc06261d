//! The arrows in ARCHITECTURE.md are the arrows of the code, both ways.

#![allow(clippy::unwrap_used, reason = "a test outside #[test] functions")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Libraries that do I/O. Whoever uses one says so in the table.
const FOREIGN_IO: [&str; 16] = [
    "axum",
    "deadpool-postgres",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "lettre",
    "mio",
    "postgres",
    "rdkafka",
    "reqwest",
    "rusqlite",
    "socket2",
    "sqlx",
    "tokio-postgres",
    "tokio-rustls",
    "ureq",
];

/// tokio's features that do I/O, which a hexagon does without.
const TOKIO_IO: [&str; 6] = ["fs", "full", "io-std", "net", "process", "signal"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Uses {
    ours: BTreeSet<String>,
    foreign_io: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The normal dependencies of each crate that ships.
fn in_code() -> BTreeMap<String, Uses> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let mut crates = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name == "tests" || name == "bench" {
            continue;
        }
        let uses: &mut Uses = crates.entry(name.to_owned()).or_default();
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_normal = dependency["kind"].is_null();
            let dependency = dependency["name"].as_str().unwrap();
            if is_normal && ours.contains(dependency) {
                uses.ours.insert(dependency.to_owned());
            } else if is_normal && FOREIGN_IO.contains(&dependency) {
                uses.foreign_io.insert(dependency.to_owned());
            }
        }
    }
    crates
}

fn in_the_table() -> BTreeMap<String, Uses> {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = page.split("## The arrows").nth(1).unwrap();
    let rows = table
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let names = |cell: &str| -> BTreeSet<String> {
                cell.split(", ")
                    .filter(|name| *name != "–")
                    .map(str::to_owned)
                    .collect()
            };
            (
                cells[0].to_owned(),
                Uses {
                    ours: names(cells[1]),
                    foreign_io: names(cells[2]),
                },
            )
        })
        .collect()
}

#[test]
fn the_table_of_arrows_is_the_code() {
    assert_eq!(in_the_table(), in_code());
}

#[test]
fn the_hexagons_use_tokio_without_its_io() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if !["common", "producer", "consumer"].contains(&name) {
            continue;
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["name"] == "tokio" && dependency["kind"].is_null() {
                let features = dependency["features"].as_array().unwrap();
                let io = features
                    .iter()
                    .find(|feature| TOKIO_IO.contains(&feature.as_str().unwrap()));
                assert_eq!(io, None, "{name} asks tokio for I/O");
            }
        }
    }
}
