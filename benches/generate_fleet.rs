//! Prints a fleet file of any size, for `benches/figures.sh` and for anybody who wants one:
//! `cargo run --example generate-fleet -- INGRESS SERVICES`, or with `--lines N`.

#[path = "../tests/support/generate.rs"]
mod generate;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match words[..] {
        ["--lines", lines] => lines.parse().ok().map(generate::fleet_of_lines),
        [ingress, services] => match (ingress.parse(), services.parse()) {
            (Ok(ingress), Ok(services)) => Some(generate::fleet(ingress, services)),
            _ => None,
        },
        _ => None,
    };
    let Some(text) = text else {
        // Nothing more can be done where even this cannot be said.
        let _ = std::io::stderr().write_all(b"usage: generate-fleet INGRESS SERVICES | --lines N\n");
        return ExitCode::from(2);
    };
    ExitCode::from(u8::from(std::io::stdout().write_all(text.as_bytes()).is_err()))
}
