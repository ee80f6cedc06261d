//! What the targets share. Each is a program in `bin/`, and says what must hold; any panic
//! is a find. `make fuzz MINUTES=10` runs them all.

use std::sync::Arc;

use async_trait::async_trait;
use producer::{
    domain::{Caller, Command, Directory},
    ports::{DirectoryStore, Executed, Mode, StoreError},
};

/// A directory of nobody that judges each command by itself and keeps nothing.
pub struct Judge;

#[async_trait]
impl DirectoryStore for Judge {
    fn snapshot(&self) -> Arc<Directory> {
        Arc::default()
    }

    async fn execute(
        &self,
        commands: Vec<Command>,
        _: Mode,
        _: &Caller,
    ) -> Result<Executed, StoreError> {
        let directory = self.snapshot();
        let mut effects = Vec::new();
        let mut refusals = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            match directory.decide(command) {
                Ok(decision) => effects.push(decision.effect),
                Err(reason) => refusals.push((place, reason)),
            }
        }
        match refusals.is_empty() {
            true => Ok(Executed { directory, effects }),
            false => Err(StoreError::Refused(refusals)),
        }
    }
}
