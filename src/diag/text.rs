//! A report as text, in the manner of rustc: `file:line:column: error[rule]: message`, source line, caret, hint.

use std::fmt::Write as _;

use super::quote::escape;
use super::report::{Finding, Report};
use super::{Place, Severity};

/// SGR sequences, or nothing where the output is no terminal.
struct Paint {
    bold: &'static str,
    error: &'static str,
    warning: &'static str,
    faint: &'static str,
    reset: &'static str,
}

const COLOUR: Paint = Paint {
    bold: "\u{1b}[1m",
    error: "\u{1b}[1;31m",
    warning: "\u{1b}[1;33m",
    faint: "\u{1b}[1;34m",
    reset: "\u{1b}[0m",
};
const PLAIN: Paint = Paint { bold: "", error: "", warning: "", faint: "", reset: "" };

impl Report {
    /// The findings, one paragraph each, ending in a line break; empty when there are none.
    #[must_use]
    pub fn to_text(&self, colour: bool) -> String {
        let paint = if colour { COLOUR } else { PLAIN };
        let mut out = String::new();
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            push_finding(&mut out, &escape(&self.file), finding, &paint);
        }
        if self.omitted > 0 {
            push_line(&mut out, &format!("\n{}: {} more findings", escape(&self.file), self.omitted));
        }
        out
    }

    /// One line that counts: `2 errors, 1 warning`, or `no findings`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counted = [(Severity::Error, "error"), (Severity::Warning, "warning")]
            .map(|(severity, word)| (self.count(severity), word));
        let mut parts: Vec<String> = counted
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }))
            .collect();
        if self.omitted > 0 {
            parts.push(format!("{} more", self.omitted));
        }
        if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
    }
}

fn push_finding(out: &mut String, file: &str, finding: &Finding, paint: &Paint) {
    let Paint { bold, faint, reset, .. } = paint;
    let (word, colour) = match finding.severity {
        Severity::Error => ("error", paint.error),
        Severity::Warning => ("warning", paint.warning),
    };
    let at =
        finding.place.as_ref().map_or(String::new(), |place| format!(":{}:{}", place.line, place.column));
    let (rule, message) = (finding.rule, &finding.message);
    push_line(
        out,
        &format!("{bold}{file}{at}:{reset} {colour}{word}[{rule}]{reset}{bold}: {message}{reset}"),
    );
    let gutter = finding.place.as_ref().map_or(1, |place| place.line.to_string().len());
    if let Some(place) = &finding.place {
        push_source(out, place, gutter, colour, paint);
    }
    if let Some(line) = finding.first_line {
        push_line(
            out,
            &format!("{:gutter$} {faint}={reset} {bold}note:{reset} the first is on line {line}", ""),
        );
    }
    if let Some(hint) = &finding.hint {
        push_line(out, &format!("{:gutter$} {faint}={reset} {bold}hint:{reset} {hint}", ""));
    }
}

fn push_source(out: &mut String, place: &Place, gutter: usize, colour: &str, paint: &Paint) {
    let Paint { faint, reset, .. } = paint;
    let Place { line, source, .. } = place;
    let (caret, carets) = (source.caret, "^".repeat(source.width));
    push_line(out, &format!("{:gutter$} {faint}|{reset}", ""));
    push_line(out, &format!("{faint}{line:gutter$} |{reset} {}", source.text));
    push_line(out, &format!("{:gutter$} {faint}|{reset} {:caret$}{colour}{carets}{reset}", "", ""));
}

fn push_line(out: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", line.trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::{Findings, Problem, Span};

    #[test]
    fn a_finding_shows_place_line_caret_and_hint() {
        let mut findings = Findings::default();
        let source = "home:\n  adress: 1.2.3.4\n";
        let span = Span { start: 8, end: 14 };
        findings
            .error(span, Problem::new("unknown-key", "unknown key `adress`").hint("did you mean `address`?"));
        let report = findings.report("fleet.yaml", source);
        assert_eq!(
            report.to_text(false),
            "fleet.yaml:2:3: error[unknown-key]: unknown key `adress`\n  |\n2 |   adress: 1.2.3.4\n  |   ^^^^^^\n  \
             = hint: did you mean `address`?\n"
        );
        assert_eq!(report.summary(), "1 error");
        assert!(report.to_text(true).contains("\u{1b}[1;31merror[unknown-key]"));
    }

    #[test]
    fn a_finding_about_the_whole_file_has_no_line() {
        let mut findings = Findings::default();
        findings.error_in_file(Problem::new("empty-file", "the file is empty").hint("run `meshboot init`"));
        assert_eq!(
            findings.report("a\u{1b}b", "").to_text(false),
            "a\\u{1b}b: error[empty-file]: the file is empty\n  = hint: run `meshboot init`\n"
        );
    }
}
