//! An error becomes text on stderr and an exit code: 1 where the input is to blame, else 2.

use std::process::ExitCode;

use crate::diag::{Refusal, RefusalKind, Report, escape};
use crate::fleet::LoadError;
use crate::sys::printer::Printer;

/// Says what went wrong, with the hints that any part of the chain holds.
pub(super) fn report(error: &anyhow::Error, printer: &mut Printer) -> ExitCode {
    if let Some(report) = error.chain().find_map(findings) {
        printer.talk(report.to_text(printer.colours_talk()).trim_end());
        printer.talk(&format!("{}: {}", escape(&report.file), report.summary()));
        return ExitCode::from(1);
    }
    let (red, bold, reset) =
        if printer.colours_talk() { ("\u{1b}[1;31m", "\u{1b}[1m", "\u{1b}[0m") } else { ("", "", "") };
    printer.talk(&format!("{red}error:{reset} {}", sentence(error)));
    let refusal = error.chain().find_map(refusal);
    if let Some(hint) = refusal.and_then(|refusal| refusal.hint.as_ref()) {
        printer.talk(&format!("  {bold}hint:{reset} {}", escape(hint)));
    }
    ExitCode::from(if refusal.is_some_and(|refusal| refusal.kind == RefusalKind::Input) { 1 } else { 2 })
}

/// The chain as one sentence; an error that repeats the one above it, as transparent ones do, is left out.
fn sentence(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in error.chain().map(|part| escape(&part.to_string())) {
        if !parts.last().is_some_and(|last| last.ends_with(&part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

fn findings<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Report> {
    match error.downcast_ref() {
        Some(LoadError::Findings(report)) => Some(report),
        _ => error.downcast_ref(),
    }
}

fn refusal<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Refusal> {
    match error.downcast_ref() {
        Some(LoadError::Unreadable(refusal)) => Some(refusal),
        _ => error.downcast_ref(),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::{Refusal, refusal, sentence};
    use crate::fleet::LoadError;

    #[test]
    fn a_chain_reads_as_one_sentence_and_keeps_its_hint() {
        let refused: LoadError = Refusal::input("it is a folder").hint("name a file").into();
        let error = Err::<(), _>(refused).context("reading `x`").expect_err("an error");
        assert_eq!(sentence(&error), "reading `x`: it is a folder");
        assert_eq!(error.chain().find_map(refusal).and_then(|it| it.hint.as_deref()), Some("name a file"));
    }
}
