//! The part of a source line that a finding shows: cut, escaped, secrets taken out, and where the caret goes.

use unicode_width::UnicodeWidthChar as _;

use super::finding::Span;
use super::quote::{is_plain, push_escaped};

/// Bytes of a line that are shown before a finding at most.
const BEFORE: usize = 80;
/// Bytes of a line that are shown from a finding on at most.
const AFTER: usize = 100;

/// A line fit for a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snippet {
    /// The text to show.
    pub(super) text: String,
    /// Terminal columns before the caret.
    pub(super) caret: usize,
    /// Terminal columns that the caret spans, at least 1.
    pub(super) width: usize,
}

/// Cuts the line `line` (byte range of `source`, line break excluded) around `span`.
pub(super) fn cut(source: &str, line: Span, span: Span, redacted: &[Span]) -> Snippet {
    let start = boundary(source, line.start.max(span.start.saturating_sub(BEFORE)));
    let end = boundary(source, line.end.min(span.start.saturating_add(AFTER)).max(start));
    let hidden: Vec<Span> = redacted.iter().copied().filter(|it| it.start < end && it.end > start).collect();

    let mut snippet = Snippet::default();
    let mut caret_end = 0;
    let mut columns = 0;
    if start > line.start {
        snippet.text.push('…');
        columns = 1;
    }
    snippet.caret = columns;
    let mut covered = None;
    for (offset, character) in source[start..end].char_indices() {
        let offset = start + offset;
        let before = columns;
        let cover = hidden.iter().find(|it| (it.start..it.end).contains(&offset));
        match cover {
            Some(cover) if covered == Some(*cover) => {}
            Some(cover) => {
                covered = Some(*cover);
                columns += push_text(&mut snippet.text, "[redacted]");
            }
            None => columns += push(&mut snippet.text, character),
        }
        if offset < span.start {
            snippet.caret = columns;
        } else if offset == span.start {
            snippet.caret = before;
        }
        if offset < span.end {
            caret_end = columns;
        }
    }
    if end < line.end {
        snippet.text.push('…');
    }
    snippet.width = caret_end.saturating_sub(snippet.caret).max(1);
    snippet.text.truncate(snippet.text.trim_end().len());
    snippet
}

/// The nearest character boundary at or before `offset`.
fn boundary(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn push_text(out: &mut String, text: &str) -> usize {
    out.push_str(text);
    text.len()
}

/// Appends a character and returns the terminal columns it takes.
fn push(out: &mut String, character: char) -> usize {
    if character == '\t' {
        // One column, so that the caret below needs no knowledge of tab stops.
        out.push(' ');
        return 1;
    }
    let before = out.len();
    push_escaped(out, character);
    if is_plain(character) { character.width().unwrap_or(0) } else { out.len() - before }
}

#[cfg(test)]
mod tests {
    use super::{Snippet, Span, cut};

    fn at(source: &str, start: usize, end: usize) -> Snippet {
        cut(source, Span { start: 0, end: source.len() }, Span { start, end }, &[])
    }

    #[test]
    fn caret_counts_terminal_columns() {
        assert_eq!(at("a: bc", 3, 5), Snippet { text: "a: bc".into(), caret: 3, width: 2 });
        assert_eq!(at("漢: b", 5, 6).caret, 4);
        assert_eq!(at("\u{1b}: b", 3, 4), Snippet { text: "\\u{1b}: b".into(), caret: 8, width: 1 });
        assert_eq!(at("ab", 2, 2), Snippet { text: "ab".into(), caret: 2, width: 1 });
    }

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let source = "é".repeat(1_000_000);
        let snippet = at(&source, 1_000_000, 2_000_000);
        assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'), "{snippet:?}");
        assert!(snippet.text.chars().count() <= 92, "{snippet:?}");
        assert_eq!(snippet.caret, 41);
    }

    #[test]
    fn secrets_are_taken_out() {
        let source = "key: hunter2, zone: x";
        let line = Span { start: 0, end: source.len() };
        let hidden = [Span { start: 5, end: 12 }];
        let own = cut(source, line, hidden[0], &hidden);
        assert_eq!(own, Snippet { text: "key: [redacted], zone: x".into(), caret: 5, width: 10 });
        let neighbour = cut(source, line, Span { start: 20, end: 21 }, &hidden);
        assert_eq!(neighbour, Snippet { text: "key: [redacted], zone: x".into(), caret: 23, width: 1 });
    }
}
