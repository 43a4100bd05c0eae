//! The questions: each answer is judged at once by the fleet's own rules, and asked for again until it is good.

use std::io::BufRead;

use super::ssh_key::{self, Found};
use super::{Answers, draft};
use crate::diag::{Refusal, Severity, quote};
use crate::fleet;
use crate::sys::printer::Printer;

/// Bytes of the longest answer.
const LONGEST: u64 = 16_384;

/// Asks for everything that is still open.
pub(super) fn ask(
    answers: &mut Answers,
    found: Option<&Found>,
    input: &mut impl BufRead,
    printer: &mut Printer,
) -> Result<(), Refusal> {
    printer.talk("A few questions; Enter takes what stands in brackets.\n");
    let mut talk = Talk { input, printer };
    if answers.fleet.is_none() {
        talk.one(answers, "Name of the fleet", Some("hearth"), |draft| &mut draft.fleet)?;
    }
    if answers.email.is_none() {
        talk.one(answers, "E-mail address for the certificate authority", None, |draft| &mut draft.email)?;
    }
    if answers.ssh_keys.is_empty() {
        talk.key(answers, found)?;
    }
    if answers.wans.is_empty() {
        talk.printer.talk(
            "\nUplinks of your home, as in `fiber=203.0.113.10` or `lte=lte.example.net`. None behind a provider's NAT.",
        );
        talk.several(answers, "Uplink", First::None, |draft| &mut draft.wans)?;
    }
    if answers.ingress.is_empty() {
        let providers: Vec<&str> = crate::profile::provider_names().collect();
        let known = providers.join(", ");
        talk.printer.talk(&format!("\nCloud machines, as in `fra1=hetzner`. Providers: {known}."));
        talk.several(answers, "Cloud machine", First::Default("any1=generic"), |draft| &mut draft.ingress)?;
    }
    if answers.services.is_empty() {
        talk.printer.talk("\nServices, as in `cloud.example.org=http://192.168.1.20:8080`.");
        talk.several(answers, "Service", First::Needed, |draft| &mut draft.services)?;
    }
    first_contact(answers, &mut talk)
}

fn first_contact<R: BufRead>(answers: &mut Answers, talk: &mut Talk<'_, R>) -> Result<(), Refusal> {
    if !answers.peers.is_empty() || (answers.mesh_listen && !answers.wans.is_empty()) {
        return Ok(());
    }
    talk.printer.talk(
        "\nA public mesh peer near you, as in `tls://peer.example.net:443` (https://publicpeers.neilalexander.dev).",
    );
    if answers.wans.is_empty() {
        return talk.several(answers, "Mesh peer", First::Needed, |draft| &mut draft.peers);
    }
    talk.printer.talk("None if your router forwards TCP port 4781 to the home.");
    talk.several(answers, "Mesh peer", First::None, |draft| &mut draft.peers)?;
    answers.mesh_listen = answers.peers.is_empty();
    Ok(())
}

/// What an empty first answer of several means.
#[derive(Clone, Copy)]
enum First {
    /// There is none.
    None,
    /// This one.
    Default(&'static str),
    /// Ask again.
    Needed,
}

/// The answers so far, with examples in the open places: a fleet in which only the newest answer can be wrong.
fn filled(answers: &Answers) -> Answers {
    let or = |given: &[String], sample: &str| {
        if given.is_empty() { vec![sample.to_owned()] } else { given.to_vec() }
    };
    // The key of the examples, whose private half nobody has.
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXNyV4Y2D10ugXcTXxqoI4oqm4nNd0rO8PPqHgdNFon";
    Answers {
        fleet: Some(answers.fleet.clone().unwrap_or("sample-fleet".into())),
        email: Some(answers.email.clone().unwrap_or("me@example.org".into())),
        ssh_keys: or(&answers.ssh_keys, key),
        wans: answers.wans.clone(),
        ingress: or(&answers.ingress, "sample-node=generic"),
        services: or(&answers.services, "sample.example.org=http://192.0.2.1"),
        peers: or(&answers.peers, "tls://sample.example.net:443"),
        mesh_listen: answers.mesh_listen,
    }
}

/// Asks on stderr, reads lines.
struct Talk<'a, R> {
    input: &'a mut R,
    printer: &'a mut Printer,
}

impl<R: BufRead> Talk<'_, R> {
    /// One answer, or the default.
    fn one(
        &mut self,
        answers: &mut Answers,
        question: &str,
        default: Option<&str>,
        place: impl Fn(&mut Answers) -> &mut Option<String>,
    ) -> Result<(), Refusal> {
        loop {
            let answer = self.line(question, default)?;
            let mut draft = filled(answers);
            *place(&mut draft) = Some(answer.clone());
            if self.is_good(&draft) {
                *place(answers) = Some(answer);
                return Ok(());
            }
        }
    }

    /// Answers until an empty one.
    fn several(
        &mut self,
        answers: &mut Answers,
        question: &str,
        first: First,
        place: impl Fn(&mut Answers) -> &mut Vec<String>,
    ) -> Result<(), Refusal> {
        loop {
            let is_first = place(answers).is_empty();
            let shown = match first {
                _ if !is_first => Some("no more"),
                First::None => Some("none"),
                First::Default(default) => Some(default),
                First::Needed => None,
            };
            let typed = self.line_or_empty(question, shown)?;
            let typed_nothing = typed.is_empty();
            let answer = match (typed_nothing, first) {
                (false, _) => typed,
                (true, First::Needed) if is_first => continue,
                (true, First::Default(default)) if is_first => default.to_owned(),
                (true, _) => return Ok(()),
            };
            let mut draft = filled(answers);
            place(&mut draft).push(answer.clone());
            if self.is_good(&draft) {
                place(answers).push(answer);
                if typed_nothing {
                    return Ok(());
                }
            }
        }
    }

    fn key(&mut self, answers: &mut Answers, found: Option<&Found>) -> Result<(), Refusal> {
        let default = found.map(|found| found.file.as_str());
        loop {
            let answer = self.line("SSH key that may log in, or its file", default)?;
            let keys = match found {
                Some(found) if answer == found.file => Ok(vec![found.line.clone()]),
                _ => ssh_key::resolve(&[answer]),
            };
            match keys {
                Ok(keys) if self.is_good(&Answers { ssh_keys: keys.clone(), ..filled(answers) }) => {
                    answers.ssh_keys = keys;
                    return Ok(());
                }
                Ok(_) => {}
                Err(refusal) => self.complain(&refusal.message, refusal.hint.as_deref()),
            }
        }
    }

    /// A line that is not empty, or the default.
    fn line(&mut self, question: &str, default: Option<&str>) -> Result<String, Refusal> {
        loop {
            let answer = self.line_or_empty(question, default)?;
            match (answer.is_empty(), default) {
                (false, _) => return Ok(answer),
                (true, Some(default)) => return Ok(default.to_owned()),
                (true, None) => {}
            }
        }
    }

    fn line_or_empty(&mut self, question: &str, default: Option<&str>) -> Result<String, Refusal> {
        let default = default.map_or(String::new(), |default| format!(" [{}]", crate::diag::escape(default)));
        self.printer.ask(&format!("{question}{default}: "));
        let mut line = Vec::new();
        let read = std::io::Read::take(&mut *self.input, LONGEST).read_until(b'\n', &mut line);
        match read {
            Ok(0) => Err(Refusal::usage("the answers ended before the questions, and nothing was written")
                .hint("`meshboot init --help` has an example with flags instead of questions")),
            Ok(_) => Ok(String::from_utf8_lossy(&line).trim().to_owned()),
            Err(error) => Err(Refusal::usage(format!("reading an answer: {error}"))),
        }
    }

    /// Whether the rules take the draft; says what they do not take.
    fn is_good(&mut self, draft: &Answers) -> bool {
        let text = match draft::text(draft) {
            Ok(text) => text,
            Err(refusal) => {
                self.complain(&refusal.message, refusal.hint.as_deref());
                return false;
            }
        };
        let Err(report) = fleet::parse(&text, "fleet.yaml") else { return true };
        let error = report.findings.iter().find(|finding| finding.severity == Severity::Error);
        match error {
            Some(finding) => self.complain(&finding.message, finding.hint.as_deref()),
            None => self.complain(&format!("{} findings", quote(&report.summary())), None),
        }
        false
    }

    fn complain(&mut self, message: &str, hint: Option<&str>) {
        self.printer.talk(&format!("  {message}"));
        if let Some(hint) = hint {
            self.printer.talk(&format!("  hint: {hint}"));
        }
    }
}
