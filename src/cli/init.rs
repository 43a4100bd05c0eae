//! Arguments of `meshboot init`, and whether there is somebody to ask.

use std::io::{self, IsTerminal as _};

use camino::Utf8PathBuf;
use clap::Args;

use crate::command::Outcome;
use crate::command::init::{self, Answers, Request};
use crate::sys::printer::Printer;

/// What was typed after `init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Questions are asked for what the flags leave open, on a terminal. Without one, the flags say it all:\n  \
    meshboot init --fleet hearth --email me@example.org --wan fiber=203.0.113.10 --ingress fra1=hetzner \\\n    \
    --service cloud.example.org=http://192.168.1.20:8080 --peer tls://peer.example.net:443"
)]
pub(super) struct Arguments {
    /// The file to write; `-` for stdout
    #[arg(value_name = "FILE", default_value = "fleet.yaml", value_parser = super::path)]
    file: Utf8PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Name of the fleet, and of the home
    #[arg(long, value_name = "NAME")]
    fleet: Option<String>,
    /// E-mail address for the certificate authority
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Public key that may log in, or the file that holds it; else the one in `~/.ssh`
    #[arg(long, value_name = "KEY-or-FILE")]
    ssh_key: Vec<String>,
    /// Uplink of the home, as in `fiber=203.0.113.10` or `lte=lte.example.net:2` with a weight; none behind CGNAT
    #[arg(long, value_name = "NAME=ADDRESS[:WEIGHT]")]
    wan: Vec<String>,
    /// Cloud machine, as in `fra1=hetzner:fsn1` or `any1=generic`
    #[arg(long, value_name = "NAME=PROVIDER[:LOCATION]")]
    ingress: Vec<String>,
    /// Service, as in `cloud.example.org=http://192.168.1.20:8080`
    #[arg(long, value_name = "DOMAIN=URL")]
    service: Vec<String>,
    /// Public mesh peer, as in `tls://peer.example.net:443`
    #[arg(long, value_name = "URI")]
    peer: Vec<String>,
    /// The router forwards the mesh port to the home, so that no public peer is needed
    #[arg(long)]
    mesh_listen: bool,
}

/// Runs the command, with questions where a person can answer them.
pub(super) fn run(arguments: Arguments, printer: &mut Printer) -> anyhow::Result<Outcome> {
    let request = Request {
        file: arguments.file,
        force: arguments.force,
        answers: Answers {
            fleet: arguments.fleet,
            email: arguments.email,
            ssh_keys: arguments.ssh_key,
            wans: arguments.wan,
            ingress: arguments.ingress,
            services: arguments.service,
            peers: arguments.peer,
            mesh_listen: arguments.mesh_listen,
        },
        ssh_folder: std::env::var("HOME").ok().map(|home| Utf8PathBuf::from(home).join(".ssh")),
    };
    let mut input = io::stdin().lock();
    let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
    init::run(request, somebody.then_some(&mut input), printer)
}
