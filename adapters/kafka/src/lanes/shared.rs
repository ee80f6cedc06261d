//! What all lanes of a process work with.

use std::{path::PathBuf, sync::Arc};

use common::Clock;

use super::{fence::Fence, writer::LaneWriter};
use crate::{
    sealer::Sealer,
    settings::Settings,
    topics::{Limits, Topics},
};

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) topics: Topics,
    pub(super) limits: Limits,
    pub(super) sealer: Arc<Sealer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writer: LaneWriter,
    /// Of this membership.
    pub(super) fence: Fence,
    /// Where rows are spilled.
    pub(super) folder: PathBuf,
}
