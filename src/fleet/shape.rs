//! Mappings, lists, texts, numbers and truth values out of the tree: wrong types, unknown, missing and repeated keys.
//!
//! Not here: which keys there are (`raw`) and whether a value makes sense (`rules`).

use std::collections::HashMap;

use super::rule::Rule;
use super::yaml::{Node, Pair, Value};
use crate::diag::{Findings, Problem, Reported, Span, Spanned, quote};

/// A value, or the proof that its absence was reported.
pub(super) type Given<T> = Result<T, Reported>;

/// Bytes of the longest value: an RSA key of 16,384 bits takes some 2,800.
const LONGEST: usize = 8_192;

/// The keys of one mapping.
pub(super) struct Fields<'n> {
    /// What the mapping describes, as in "`home`" or "an entry of `services`".
    what: String,
    /// Where a missing key is reported.
    owner: Span,
    entries: HashMap<&'n str, &'n Pair>,
    /// Known keys that were probably meant by unknown ones: they are not missed as well.
    misspelt: Vec<(String, Reported)>,
}

impl<'n> Fields<'n> {
    /// Reads a mapping and reports keys that are not in `known`, and keys written twice.
    pub(super) fn read(
        node: &'n Node,
        owner: Span,
        what: &str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Given<Self> {
        let pairs = match &node.value {
            Value::Mapping(pairs) => pairs.as_slice(),
            Value::Refused(reported) => return Err(*reported),
            Value::Null => &[][..],
            _ => return Err(wrong_type(node, what, "keys with values", findings)),
        };
        let mut entries: HashMap<&str, &Pair> = HashMap::new();
        let mut misspelt = Vec::new();
        for pair in pairs {
            let is_taken = known.contains(&pair.key.as_str()) && !entries.contains_key(pair.key.as_str());
            if !is_taken && (names_a_secret(&pair.key) || nearest(&pair.key, known) == Some("key")) {
                findings.redact(pair.value.span);
            }
            if !known.contains(&pair.key.as_str()) {
                misspelt.extend(unknown_key(pair, what, known, findings));
            } else if let Some(first) = entries.get(pair.key.as_str()) {
                let message = format!("{} is written twice in {what}", quote(&pair.key));
                let problem = Problem::new(Rule::DuplicateKey, message).hint("keep one of them");
                findings.error(pair.key_span, problem.first(first.key_span));
            } else {
                entries.insert(&pair.key, pair);
            }
        }
        Ok(Self { what: what.to_owned(), owner, entries, misspelt })
    }

    /// The value of a key; an empty value counts as not written.
    pub(super) fn optional(&self, key: &str) -> Option<&'n Pair> {
        self.entries.get(key).copied().filter(|pair| !matches!(pair.value.value, Value::Null))
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str, example: &str, findings: &mut Findings) -> Given<&'n Pair> {
        if let Some(pair) = self.optional(key) {
            return Ok(pair);
        }
        if let Some((_, reported)) = self.misspelt.iter().find(|(meant, _)| meant == key) {
            return Err(*reported);
        }
        let (place, message) = match self.entries.get(key) {
            Some(pair) => (pair.key_span, format!("{} of {} has no value", quote(key), self.what)),
            None => (self.owner, format!("{} has no {}", self.what, quote(key))),
        };
        Err(findings
            .error(place, Problem::new(Rule::MissingKey, message).hint(format!("add `{key}: {example}`"))))
    }

    pub(super) fn text(&self, key: &str, example: &str, findings: &mut Findings) -> Given<Spanned<String>> {
        text(&self.required(key, example, findings)?.value, key, findings)
    }

    pub(super) fn optional_text(&self, key: &str, findings: &mut Findings) -> Given<Option<Spanned<String>>> {
        self.optional(key).map(|pair| text(&pair.value, key, findings)).transpose()
    }

    pub(super) fn integer(&self, key: &str, example: &str, findings: &mut Findings) -> Given<Spanned<i64>> {
        integer(&self.required(key, example, findings)?.value, key, findings)
    }

    pub(super) fn optional_integer(&self, key: &str, findings: &mut Findings) -> Given<Option<Spanned<i64>>> {
        self.optional(key).map(|pair| integer(&pair.value, key, findings)).transpose()
    }

    pub(super) fn optional_boolean(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Given<Option<Spanned<bool>>> {
        self.optional(key).map(|pair| boolean(&pair.value, key, findings)).transpose()
    }

    /// The items of a list with at most `most` of them; none when the key is absent.
    pub(super) fn list(&self, key: &str, most: usize, findings: &mut Findings) -> Given<Vec<&'n Node>> {
        let Some(pair) = self.optional(key) else { return Ok(Vec::new()) };
        match &pair.value.value {
            Value::Sequence(items) => counted(items, pair.key_span, key, most, findings),
            Value::Refused(reported) => Err(*reported),
            _ => Err(wrong_type(&pair.value, &quote(key), "a list", findings)),
        }
    }

    /// A list of texts.
    pub(super) fn texts(
        &self,
        key: &str,
        most: usize,
        findings: &mut Findings,
    ) -> Given<Vec<Given<Spanned<String>>>> {
        let items = self.list(key, most, findings)?;
        Ok(items.into_iter().map(|item| text(item, key, findings)).collect())
    }
}

/// The texts of a value that is a text or a list of texts.
pub(super) fn one_or_more(
    pair: &Pair,
    most: usize,
    findings: &mut Findings,
) -> Given<Vec<Given<Spanned<String>>>> {
    match &pair.value.value {
        Value::Sequence(items) => {
            let items = counted(items, pair.key_span, &pair.key, most, findings)?;
            Ok(items.into_iter().map(|item| text(item, &pair.key, findings)).collect())
        }
        _ => Ok(vec![text(&pair.value, &pair.key, findings)]),
    }
}

fn counted<'n>(
    items: &'n [Node],
    place: Span,
    key: &str,
    most: usize,
    findings: &mut Findings,
) -> Given<Vec<&'n Node>> {
    if items.len() > most {
        let message = format!("{} has {} entries; meshboot serves at most {most}", quote(key), items.len());
        return Err(findings.error(
            place,
            Problem::new(Rule::TooMany, message).hint("remove some, or make two fleets of it"),
        ));
    }
    Ok(items.iter().collect())
}

fn text(node: &Node, key: &str, findings: &mut Findings) -> Given<Spanned<String>> {
    let text = match &node.value {
        Value::Scalar { text, .. } => text,
        Value::Refused(reported) => return Err(*reported),
        _ => return Err(wrong_type(node, &quote(key), "a text", findings)),
    };
    if text.len() > LONGEST {
        let message = format!(
            "a value of {} is {} bytes long; no value needs more than {LONGEST}",
            quote(key),
            text.len()
        );
        return Err(findings.error(node.span, Problem::new(Rule::ValueTooLong, message)));
    }
    // A block scalar (`|`) ends in a line break that nobody meant.
    let trimmed = text.trim();
    if let Some(character) = trimmed.chars().find(|&character| is_hidden(character)) {
        // A pasted private key has line breaks: its own rule says more, and hides it.
        if !trimmed.contains("PRIVATE KEY") {
            let character = crate::diag::escape(&character.to_string());
            let message = format!("a value of {} holds the control character `{character}`", quote(key));
            let problem = Problem::new(Rule::ControlCharacter, message).hint("a value is one line of text");
            return Err(findings.error(node.span, problem));
        }
    }
    Ok(Spanned { value: trimmed.to_owned(), span: node.span })
}

/// Whether a character steers what shows or reads the text instead of being a part of it: controls, separators of lines
/// and paragraphs (YAML 1.1 and Python break lines there), reordering, and what is no character at all. Joiners stay,
/// as names in some scripts need them.
fn is_hidden(character: char) -> bool {
    let is_joiner = matches!(character, '\u{200c}' | '\u{200d}');
    let is_none = u32::from(character) & 0xfffe == 0xfffe;
    is_none || !(is_joiner || crate::diag::is_plain(character))
}

fn integer(node: &Node, key: &str, findings: &mut Findings) -> Given<Spanned<i64>> {
    match &node.value {
        Value::Scalar { text, plain: true } if is_integer(text) => {
            // What does not fit is out of every range, which the rules then say.
            let value = text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
            Ok(Spanned { value, span: node.span })
        }
        Value::Scalar { text, plain: false } if is_integer(text) => {
            let problem = Problem::new(Rule::WrongType, format!("{} is a text, not a number", quote(key)))
                .hint("remove the quotes");
            Err(findings.error(node.span, problem))
        }
        Value::Refused(reported) => Err(*reported),
        _ => Err(wrong_type(node, &quote(key), "a whole number", findings)),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    // YAML 1.1 reads a leading zero as octal, YAML 1.2 does not: neither is meant.
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

fn boolean(node: &Node, key: &str, findings: &mut Findings) -> Given<Spanned<bool>> {
    match &node.value {
        Value::Scalar { text, plain: true } if text == "true" => Ok(Spanned { value: true, span: node.span }),
        Value::Scalar { text, plain: true } if text == "false" => {
            Ok(Spanned { value: false, span: node.span })
        }
        Value::Refused(reported) => Err(*reported),
        _ => Err(wrong_type(node, &quote(key), "`true` or `false`", findings)),
    }
}

fn wrong_type(node: &Node, what: &str, wanted: &str, findings: &mut Findings) -> Reported {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar { text, plain } if *plain => quote(text),
        Value::Scalar { .. } => "a text".to_owned(),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "keys with values".to_owned(),
        Value::Refused(reported) => return *reported,
    };
    findings
        .error(node.span, Problem::new(Rule::WrongType, format!("{what} is {found} where {wanted} belongs")))
}

/// Reports an unknown key, and returns the known one that was probably meant.
fn unknown_key(
    pair: &Pair,
    what: &str,
    known: &[&str],
    findings: &mut Findings,
) -> Option<(String, Reported)> {
    let problem = Problem::new(Rule::UnknownKey, format!("{what} has no key {}", quote(&pair.key)));
    if let Some(nearest) = nearest(&pair.key, known) {
        let reported = findings.error(pair.key_span, problem.hint(format!("did you mean `{nearest}`?")));
        return Some((nearest.to_owned(), reported));
    }
    findings.error(pair.key_span, problem.hint(format!("known here: {}", known.join(", "))));
    None
}

/// Whether a key's value is likely to be a secret, which then is not shown.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["key", "token", "secret", "pass", "credential", "tsig"].iter().any(|word| key.contains(word))
}

/// The known word that was probably meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > 40 {
        return None;
    }
    let folded = word.to_lowercase().replace(['_', ' '], "-");
    let distance = |candidate: &str| strsim::damerau_levenshtein(&folded, candidate);
    let best = known.iter().copied().min_by_key(|candidate| distance(candidate))?;
    (distance(best) <= 1 + best.len() / 4).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_key_is_named_only_when_near() {
        let known = ["address", "weight", "mesh-listen"];
        assert_eq!(nearest("adress", &known), Some("address"));
        assert_eq!(nearest("mesh_listen", &known), Some("mesh-listen"));
        assert_eq!(nearest("Weight", &known), Some("weight"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest(&"a".repeat(1_000_000), &known), None);
    }
}
