//! Secrets in a text that is not valid YAML, where no key says what a value is: kept out of every snippet by looks.
//!
//! Where the text is valid, `shape` and `raw` know better.

use crate::diag::{Findings, Span};

/// Words whose value is not shown.
const WORDS: [&str; 6] = ["key", "token", "secret", "password", "passphrase", "credential"];
/// Longest private key, in bytes: an RSA key of 16,384 bits takes 13,000.
const LONGEST_KEY: usize = 16_384;
/// Blocks that are looked for; a text with more is none that anybody wrote.
const MOST_BLOCKS: usize = 64;

/// Hides private keys anywhere in the text.
pub(super) fn private_keys(text: &str, findings: &mut Findings) {
    let mut rest = 0;
    for _ in 0..MOST_BLOCKS {
        let Some(at) = text[rest..].find("-----BEGIN ").map(|at| rest + at) else { return };
        let line_end = text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length);
        rest = line_end;
        if !text[at..line_end].contains("PRIVATE KEY") {
            continue;
        }
        let reach = floor_boundary(text, at + LONGEST_KEY);
        let end = text[at..reach].find("-----END ").map_or(line_end, |length| at + length);
        let end = text[end..].find(['\n', '\r']).map_or(text.len(), |length| end + length);
        findings.redact(Span { start: at, end });
        rest = end;
    }
}

/// Hides what follows `key:` and the like on the line around `at`, unless it says where a secret lies.
pub(super) fn values_on_line(text: &str, at: usize, findings: &mut Findings) {
    let at = floor_boundary(text, at);
    let start = text[..at].rfind(['\n', '\r']).map_or(0, |before| before + 1);
    let end = text[at..].find(['\n', '\r']).map_or(text.len(), |length| at + length);
    let line = text[start..end].to_ascii_lowercase();
    for word in WORDS {
        for (found, _) in line.match_indices(word) {
            let after = line[found + word.len()..].trim_start_matches(['"', '\'', ' ']);
            let Some(value) = after.strip_prefix(':') else { continue };
            let value = value.trim_start_matches([' ', '"', '\'']);
            let before = line[..found].chars().next_back();
            if before.is_some_and(char::is_alphanumeric)
                || value.starts_with("env:")
                || value.starts_with("file:")
            {
                continue;
            }
            findings.redact(Span { start: end - value.len(), end });
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
