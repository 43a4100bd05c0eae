//! Arguments of `meshboot check`.

use camino::Utf8PathBuf;
use clap::Args;

use crate::command::check::Request;

/// What was typed after `check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The fleet file; `-` for standard input
    #[arg(value_name = "FLEET", value_parser = super::path)]
    fleet: Utf8PathBuf,
    /// Let warnings fail too
    #[arg(long)]
    strict: bool,
    /// Print findings as JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn request(self) -> Request {
        Request { fleet: self.fleet, strict: self.strict, json: self.json }
    }
}
