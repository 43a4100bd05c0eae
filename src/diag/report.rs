//! All findings of one file with lines and columns, sorted by position: what is printed, as text or as JSON.

use std::fmt;

use super::finding::{Entry, Findings, Severity, Span};
use super::snippet::{Snippet, cut};

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The source line, cut and escaped, secrets taken out.
    #[serde(serialize_with = "text_of_snippet")]
    pub(super) source: Snippet,
}

/// One problem at its place.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The rule's identifier in kebab-case.
    pub rule: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence without final period, values in backticks.
    pub message: String,
    /// Line, column and source line; absent when the finding concerns the whole file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Line of the first of two equal things.
    #[serde(rename = "first-line", skip_serializing_if = "Option::is_none")]
    pub first_line: Option<usize>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All findings of one file. As an error it means: at least one of them stops the work.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The file, as the user named it.
    pub file: String,
    /// Findings, sorted by position; those about the whole file first.
    pub findings: Vec<Finding>,
    /// Findings that were only counted, because the list has an end.
    pub omitted: usize,
}

impl Report {
    pub(super) fn new(findings: Findings, origin: &str, source: &str) -> Self {
        let Findings { mut entries, redacted, omitted, .. } = findings;
        entries.sort_by_key(|entry| entry.span);
        // A leading byte-order mark takes no column.
        let start = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut places =
            Places { source, redacted: &redacted, at: start, line: 1, line_start: start, column: 1 };
        let lines = Lines::of_source(source, entries.iter().any(|entry| entry.problem.first.is_some()));
        let findings = entries
            .into_iter()
            .map(|Entry { severity, span, problem }| Finding {
                rule: problem.rule,
                severity,
                message: problem.message,
                place: span.map(|span| places.find(span)),
                first_line: problem.first.map(|first| lines.of(first.start)),
                hint: problem.hint,
            })
            .collect();
        Self { file: origin.to_owned(), findings, omitted }
    }

    /// How many errors and warnings are listed.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.omitted == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(false))
    }
}

impl std::error::Error for Report {}

/// Turns byte offsets into lines and columns; asked in rising order, so that the text is read once.
struct Places<'a> {
    source: &'a str,
    redacted: &'a [Span],
    at: usize,
    line: usize,
    line_start: usize,
    column: usize,
}

impl Places<'_> {
    fn find(&mut self, span: Span) -> Place {
        let start = span.start.min(self.source.len());
        let bytes = self.source.as_bytes();
        while self.at < start {
            let byte = bytes[self.at];
            self.at += 1;
            // YAML's line breaks: LF, CR LF, and CR alone.
            if byte == b'\n' || (byte == b'\r' && bytes.get(self.at) != Some(&b'\n')) {
                (self.line, self.line_start, self.column) = (self.line + 1, self.at, 1);
            } else if byte & 0xc0 != 0x80 {
                // Not a continuation byte of UTF-8.
                self.column += 1;
            }
        }
        let rest = &bytes[self.line_start..];
        // Far beyond what is shown: a longer line needs no exact end.
        let reach = start.saturating_sub(self.line_start) + 4096;
        let length = rest.iter().take(reach).position(|byte| matches!(byte, b'\n' | b'\r'));
        let line_end = length.map_or(self.source.len(), |length| self.line_start + length);
        let line = Span { start: self.line_start, end: line_end };
        Place { line: self.line, column: self.column, source: cut(self.source, line, span, self.redacted) }
    }
}

/// Where each line starts: for places that are asked for in no order.
struct Lines(Vec<usize>);

impl Lines {
    /// Reads the source, if it is `needed` at all.
    fn of_source(source: &str, needed: bool) -> Self {
        let bytes = source.as_bytes();
        let ends = |(at, byte): (usize, &u8)| {
            (*byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'))).then_some(at + 1)
        };
        Self(if needed { bytes.iter().enumerate().filter_map(ends).collect() } else { Vec::new() })
    }

    /// Line of a byte, counted from 1.
    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset) + 1
    }
}

fn text_of_snippet<S: serde::Serializer>(snippet: &Snippet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&snippet.text)
}

#[cfg(test)]
mod tests {
    use super::super::{Findings, Problem, Span};

    fn places(source: &str, starts: &[usize]) -> Vec<(usize, usize)> {
        let mut findings = Findings::default();
        for &start in starts {
            findings.error(Span { start, end: start + 1 }, Problem::new("rule", "message"));
        }
        let report = findings.report("x", source);
        report.findings.into_iter().filter_map(|it| it.place).map(|it| (it.line, it.column)).collect()
    }

    #[test]
    fn lines_end_at_lf_crlf_and_cr() {
        assert_eq!(places("a\nb\r\nc\rd", &[0, 2, 5, 7]), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    }

    #[test]
    fn columns_count_characters_and_no_byte_order_mark() {
        assert_eq!(places("é: b", &[4]), [(1, 4)]);
        assert_eq!(places("\u{feff}a: b", &[3, 6]), [(1, 1), (1, 4)]);
    }

    #[test]
    fn findings_are_sorted_and_the_end_of_the_file_is_a_place() {
        assert_eq!(places("ab\n", &[3, 1]), [(1, 2), (2, 1)]);
    }

    #[test]
    fn too_many_findings_are_counted() {
        let mut findings = Findings::default();
        for _ in 0..1_002 {
            findings.error(Span::default(), Problem::new("rule", "message"));
        }
        for _ in 0..1_001 {
            findings.warning(Span::default(), Problem::new("rule", "message"));
        }
        let report = findings.report("x", "");
        assert_eq!((report.findings.len(), report.omitted), (2_000, 3));
    }
}
