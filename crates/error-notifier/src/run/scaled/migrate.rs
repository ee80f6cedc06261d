//! `migrate`: the schema of the database brought up to date.

use super::accepting;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::config::settings::MigrateSettings;
use crate::run::run;

/// Brings the schema up to date. Started by many at once it is done once.
pub(crate) fn migrate(settings: MigrateSettings) -> Result<(), Failure> {
    run(&settings.log.clone(), |_| async move {
        let url = accepting::named_url(&settings.database)?;
        postgres::migrate(url, settings.wait.wait)
            .await
            .map_err(|error| Failure::BadInput(error.to_string()))?;
        print("the schema is up to date\n")
    })
}
