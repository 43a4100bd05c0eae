//! meshboot: one `fleet.yaml` becomes everything that has to exist for a home to be reachable from the internet.
//!
//! The library holds all of the work; the binary only parses arguments and turns an outcome into an exit code.
//! Modules are floors: each may import from the ones below it, never from above or beside
//! (`tests/floors.rs` holds them to it). From top to bottom:
//! `cli`, `command`, `rehearse`, `payload`, `render`, `peers`, `fleet`, `identity`, `profile`, `sys`, `diag`.

pub mod cli;
pub mod command;
pub mod diag;
pub mod fleet;
pub mod identity;
pub mod payload;
pub mod peers;
pub mod profile;
pub mod rehearse;
pub mod render;
pub mod sys;
