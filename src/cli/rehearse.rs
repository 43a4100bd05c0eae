//! Arguments of `meshboot rehearse`.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use crate::command::Outcome;
use crate::command::rehearse::{self, Request, Shell};
use crate::sys::printer::Printer;

/// What was typed after `rehearse`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    inside: Option<Inside>,
    /// The fleet file; keys and tokens of the rehearsal are its own, the fleet's are left alone
    #[arg(value_name = "FLEET", required_unless_present = "list")]
    fleet: Option<Utf8PathBuf>,
    /// Run this scenario only; may be given more than once
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Leave everything up afterwards, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
    /// Print the scenarios and what they show
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Subcommand)]
enum Inside {
    /// Enter a node of a rehearsal that runs, or the network of somebody in it (visitor, stranger, router, …)
    Shell {
        /// The node or place
        #[arg(value_name = "NODE")]
        place: String,
        /// A command to run there in place of a shell
        #[arg(value_name = "COMMAND", trailing_var_arg = true)]
        argv: Vec<String>,
    },
}

impl Arguments {
    pub(super) fn run(self, printer: &mut Printer) -> anyhow::Result<Outcome> {
        match (self.inside, self.fleet) {
            (Some(Inside::Shell { place, argv }), _) => rehearse::shell(&Shell { place, argv }),
            (None, Some(fleet_file)) if !self.list => {
                let request =
                    Request { fleet_file, scenarios: self.scenario, keep: self.keep, json: self.json };
                rehearse::run(&request, printer)
            }
            _ => rehearse::list(printer),
        }
    }
}
