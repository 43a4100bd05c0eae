//! A node's file set becomes user-data, seed, bundle and launch sheet. Everything here is made in memory, and the same
//! input gives the same bytes.
//!
//! Not here: what the files say (`render`) and writing them (`command::build`). To add a carrier for a node's files,
//! add a file here and an artefact in `node::compose`.

pub mod bundle;
pub mod dns_zone;
pub mod iso;
pub mod launch_sheet;
pub mod manifest;
pub mod node;
pub mod user_data;
