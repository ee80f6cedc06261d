//! The lines of an import. Each wrong line is named once at most a thousand times.
#![no_main]

use fuzz::Judge;
use libfuzzer_sys::fuzz_target;
use producer::{
    application::transfer::{ImportError, MAX_LINE_ERRORS, import},
    domain::Caller,
    ports::Mode,
};

fuzz_target!(|text: &str| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let imported =
        runtime
            .expect("a runtime")
            .block_on(import(&Judge, text, Mode::DryRun, &Caller::LOCAL));
    if let Err(ImportError::Lines(errors)) = imported {
        assert!(!errors.is_empty() && errors.len() <= MAX_LINE_ERRORS);
        let lines = text.lines().count();
        assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)));
    }
});
