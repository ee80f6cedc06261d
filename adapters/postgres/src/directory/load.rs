//! Reading the whole directory.

use std::sync::Arc;

use producer::domain::Directory;
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

use super::{
    State, api_tokens,
    log::{self, Position},
    rows::{BY_USER, GROUPS, USERS, Users, group, member},
};
use crate::secrets::{NotRead, Secrets};

/// How many rows are in memory at a time, beside the directory that they become.
const ROWS_AT_A_TIME: i32 = 5_000;

/// Reads everything, as of one moment.
pub(crate) async fn load(client: &mut Client, secrets: &Secrets) -> Result<State, NotRead> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    // A very large one takes its time to be put in order.
    let no_limit = "SET LOCAL statement_timeout = 0";
    transaction.batch_execute(no_limit).await?;
    let state = load_within(&transaction, secrets).await?;
    transaction.commit().await?;
    Ok(state)
}

/// As [`load`], by a transaction in which nothing changes any more: one that holds the
/// directory's lock, or whose statements all see the same.
pub(super) async fn load_within(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
) -> Result<State, NotRead> {
    let position: Position = log::end(transaction).await?;
    let mut directory = Directory::default();
    let mut users = Users::new(secrets);
    each_row(transaction, &format!("{USERS} {BY_USER}"), |row| {
        if let Some(user) = users.take(row)? {
            directory.insert_user(Arc::new(user));
        }
        Ok(())
    })
    .await?;
    if let Some(user) = users.end() {
        directory.insert_user(Arc::new(user));
    }
    each_row(transaction, GROUPS, |row| {
        if let Some(group) = group(row)? {
            directory.insert_group(Arc::new(group));
        }
        Ok(())
    })
    .await?;
    let members = "SELECT noti_group_id, user_id FROM noti_group_user";
    each_row(transaction, members, |row| Ok(member(row, &mut directory)?)).await?;
    each_row(transaction, api_tokens::TOKENS, |row| {
        Ok(api_tokens::token(row, &mut directory).map(drop)?)
    })
    .await?;
    Ok(State {
        directory: Arc::new(directory),
        position,
    })
}

async fn each_row(
    transaction: &Transaction<'_>,
    query: &str,
    mut take: impl FnMut(&Row) -> Result<(), NotRead>,
) -> Result<(), NotRead> {
    let portal = transaction.bind(query, &[]).await?;
    loop {
        let rows = transaction.query_portal(&portal, ROWS_AT_A_TIME).await?;
        if rows.is_empty() {
            return Ok(());
        }
        rows.iter().try_for_each(&mut take)?;
    }
}
