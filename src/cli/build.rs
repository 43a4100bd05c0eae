//! Arguments of `meshboot build`.

use std::time::SystemTime;

use camino::Utf8PathBuf;
use clap::Args;

use crate::command::build::Request;

/// What was typed after `build`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The fleet file; keys and tokens are kept beside it in `.meshboot`
    #[arg(value_name = "FLEET", value_parser = super::path)]
    fleet: Utf8PathBuf,
    /// Build this node only; may be given more than once
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
    /// Folder to write
    #[arg(long, value_name = "DIR", default_value = "out", value_parser = super::path)]
    out: Utf8PathBuf,
    /// Take over a folder that holds another fleet's output or other files
    #[arg(long)]
    force: bool,
    /// Make a new join token for this node, whatever the age of the last one; may be given more than once
    #[arg(long, value_name = "NODE")]
    renew: Vec<String>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn request(self) -> Request {
        Request {
            fleet_file: self.fleet,
            nodes: self.node,
            out: self.out,
            force: self.force,
            renew: self.renew,
            now: SystemTime::now(),
            json: self.json,
        }
    }
}
