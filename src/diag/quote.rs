//! Text of unknown origin made fit for a terminal: no control characters, no reordering, no endless lines.
//!
//! A fleet file can come from anybody; without this its text could move the cursor, retitle the window or hide a
//! part of itself (CVE-2021-42574 describes the bidirectional case).

use std::fmt::Write as _;

/// Longest value that a message repeats, in characters.
const LONGEST: usize = 64;

/// Whether a terminal shows the character as it is.
pub(crate) fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Appends a character, escaped as `\u{…}` where a terminal would act on it.
pub(super) fn push_escaped(out: &mut String, character: char) {
    if is_plain(character) {
        out.push(character);
    } else {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
    }
}

/// Escapes what a terminal would act on and leaves the rest; line breaks are escaped too.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        push_escaped(&mut out, character);
    }
    out
}

/// A value in backticks, escaped and cut to a length that fits a message.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::from("`");
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        push_escaped(&mut out, character);
    }
    out.push('`');
    out
}

#[cfg(test)]
mod tests {
    use super::{escape, quote};

    #[test]
    fn control_and_reordering_characters_are_escaped() {
        assert_eq!(escape("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(escape("Bücher"), "Bücher");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(quote("short"), "`short`");
        assert_eq!(quote(&"x".repeat(65)), format!("`{}…`", "x".repeat(64)));
    }
}
