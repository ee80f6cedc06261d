//! Deciding about users' destinations after the first.

use std::sync::Arc;

use common::{Destination, UserDestinationId, UserId};

use super::{Directory, DirectoryError};
use crate::domain::{
    Change, DestinationRecord, FurtherDestination, MAX_DESTINATIONS, NewCredential, Place,
    SavedDestination, User, UserRecord,
};

impl Directory {
    pub(super) fn create_destination(
        &self,
        user: UserId,
        record: &DestinationRecord,
        order: Option<usize>,
    ) -> Result<Vec<Change>, DirectoryError> {
        let user = self.user(user).ok_or(DirectoryError::NoSuchUser)?;
        if user.id.0 == record.id.0 || user.destinations.find(record.id).is_some() {
            return Err(DirectoryError::IdTaken);
        }
        put(user, record, order)
    }

    pub(super) fn put_destination(
        &self,
        user: UserId,
        record: &DestinationRecord,
        order: Option<usize>,
    ) -> Result<Vec<Change>, DirectoryError> {
        let user = self.user(user).ok_or(DirectoryError::NoSuchUser)?;
        if user.id.0 == record.id.0 {
            return Err(DirectoryError::FirstDestination);
        }
        put(user, record, order)
    }

    pub(super) fn remove_destination(
        &self,
        user: UserId,
        id: UserDestinationId,
    ) -> Result<Vec<Change>, DirectoryError> {
        let user = self.user(user).ok_or(DirectoryError::NoSuchUser)?;
        if user.id.0 == id.0 {
            return Err(DirectoryError::FirstDestination);
        }
        let mut wanted = kept(user);
        let count = wanted.len();
        wanted.retain(|record| record.id != id);
        if wanted.len() == count {
            return Err(DirectoryError::NoSuchDestination);
        }
        further(
            user.id,
            &first_of(user),
            user.destinations.further(),
            &wanted,
        )
    }
}

/// What the record of a user changes about their destinations after the first, which
/// have to differ from the first that the record gives.
pub(super) fn further_of_user(
    known: Option<&Arc<User>>,
    record: &UserRecord,
) -> Result<Vec<Change>, DirectoryError> {
    let has = known.map_or(&[][..], |user| user.destinations.further());
    let kept: Vec<_> = has.iter().map(DestinationRecord::keeping).collect();
    let wanted = record.destinations.as_ref().unwrap_or(&kept);
    if wanted.is_empty() && has.is_empty() {
        return Ok(vec![]);
    }
    further(record.id, &record.first(), has, wanted)
}

fn put(
    user: &User,
    record: &DestinationRecord,
    order: Option<usize>,
) -> Result<Vec<Change>, DirectoryError> {
    let mut wanted = kept(user);
    let place = wanted.iter().position(|known| known.id == record.id);
    if let Some(place) = place {
        wanted.remove(place);
    }
    let place = match order {
        Some(order) => order.saturating_sub(1).min(wanted.len()),
        None => place.unwrap_or(wanted.len()),
    };
    wanted.insert(place, record.clone());
    further(
        user.id,
        &first_of(user),
        user.destinations.further(),
        &wanted,
    )
}

fn kept(user: &User) -> Vec<DestinationRecord> {
    let further = user.destinations.further();
    further.iter().map(DestinationRecord::keeping).collect()
}

fn first_of(user: &User) -> Destination {
    (*user.destinations.first().destination).clone()
}

/// The change that makes `wanted` of what the user `has` after the first; none where
/// all is so already.
fn further(
    user: UserId,
    first: &Destination,
    has: &[FurtherDestination],
    wanted: &[DestinationRecord],
) -> Result<Vec<Change>, DirectoryError> {
    if wanted.len() >= MAX_DESTINATIONS {
        return Err(DirectoryError::TooManyDestinations);
    }
    let mut saved = Vec::with_capacity(wanted.len());
    for (place, record) in wanted.iter().enumerate() {
        let before = &wanted[..place];
        if record.id.0 == user.0 || before.iter().any(|other| other.id == record.id) {
            return Err(DirectoryError::IdTaken);
        }
        let is_there = |other: &Destination| other.id == record.place.destination().id;
        if is_there(first)
            || before
                .iter()
                .map(|other| &other.place)
                .map(Place::destination)
                .any(is_there)
        {
            return Err(DirectoryError::DestinationTaken);
        }
        let known = has.iter().find(|known| known.id == record.id);
        saved.push(SavedDestination {
            record: record.clone(),
            credential: credential(known, record)?,
        });
    }
    let is_so = saved.len() == has.len()
        && saved.iter().zip(has).all(|(saved, known)| {
            saved.credential == NewCredential::Keep
                && saved.record.id == known.id
                && *saved.record.place.destination() == *known.place.destination
        });
    Ok(if is_so {
        vec![]
    } else {
        vec![Change::SaveDestinations(user, saved)]
    })
}

fn credential(
    known: Option<&FurtherDestination>,
    record: &DestinationRecord,
) -> Result<NewCredential, DirectoryError> {
    let known = known.map(|known| &known.place);
    match (record.secret(), known) {
        (Some(secret), Some(known)) if known.credential.secret.expose() == secret.expose() => {
            Ok(NewCredential::Keep)
        }
        (Some(_), _) => Ok(NewCredential::FromToken),
        (None, Some(known)) if known.destination.kind == record.place.destination().kind => {
            Ok(NewCredential::Keep)
        }
        (None, _) => Err(DirectoryError::CredentialMissing),
    }
}
