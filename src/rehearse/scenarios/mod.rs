//! What a rehearsal proves: a file for each scenario, and its line in [`ALL`].

mod serves;
mod true_address;

use super::scenario::Scenario;

/// All scenarios, in the order in which they run. Each leaves the lab as it found it.
pub static ALL: &[Scenario] = &[serves::SCENARIO, true_address::SCENARIO];
