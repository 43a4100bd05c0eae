//! Templates: strict, with a quoting filter for every format that a value goes into.
//!
//! Not here: YAML and JSON documents, which are serialised. To add a format, add a filter that quotes for it, with
//! the man page that says how.

use std::sync::LazyLock;

use anyhow::{Context as _, Result, anyhow};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use crate::profile;

/// Renders the embedded template at `path` with a typed context.
pub(super) fn render(path: &str, context: &impl Serialize) -> Result<String> {
    let template = ENVIRONMENT
        .get_template(path)
        .map_err(|error| anyhow!("{error:#}"))
        .with_context(|| format!("loading the template `{path}`"))?;
    template
        .render(Serde(context))
        .map_err(|error| anyhow!("{error:#}"))
        .with_context(|| format!("rendering `{path}`"))
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax =
        SyntaxConfig::builder().keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("only whitespace is configured, no delimiter"));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_loader(|path| Ok(profile::file(path).map(|file| file.contents.to_owned())));
    environment.add_filter("haproxy", haproxy);
    environment.add_filter("shell", shell);
    environment.add_filter("json", json);
    environment.add_filter("block", block);
    environment
});

/// Strong quotes of haproxy's configuration (configuration.txt, 2.2 "Quoting and escaping"): nothing is special
/// inside them, and a single quote cannot be said.
fn haproxy(text: &str) -> Result<String, Error> {
    if text.contains(['\'', '\n', '\r', '\0']) {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("`{text}` cannot be quoted for haproxy"),
        ));
    }
    Ok(format!("'{text}'"))
}

/// Single quotes of POSIX sh (XCU 2.2.2).
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A JSON value on one line, which is a YAML flow value too.
fn json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// A YAML literal block scalar (YAML 1.2.2, 8.1.2) indented by `indent` spaces, header included; text that a literal
/// cannot carry is written as a JSON string instead.
fn block(text: &str, indent: usize) -> Result<String, Error> {
    let printable = |c: char| {
        c == '\n'
            || c == '\t'
            || (c >= ' '
                && c != '\u{7f}'
                && !('\u{80}'..='\u{a0}').contains(&c)
                && c != '\u{feff}'
                && !('\u{2028}'..='\u{2029}').contains(&c))
    };
    let first = text.lines().next().unwrap_or_default();
    let literal = text.len() > 1
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && text.chars().all(printable);
    if !literal {
        return serde_json::to_string(text)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()));
    }
    let margin = " ".repeat(indent);
    let mut lines = String::from("|");
    for line in text.lines() {
        lines.push('\n');
        if !line.is_empty() {
            lines.push_str(&margin);
            lines.push_str(line);
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::{block, haproxy, shell};

    #[test]
    fn quotes_for_each_format() {
        assert_eq!(shell("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(haproxy("/a b$c").expect("no quote in it"), "'/a b$c'");
        assert!(haproxy("a'b").is_err());
        assert!(haproxy("a\nb").is_err());
    }

    #[test]
    fn a_block_reads_back_as_what_was_written() {
        for text in [
            "a\n",
            "a\n\n  b\n",
            " leading\n",
            "no end",
            "two ends\n\n",
            "tab\tin\n",
            "bell\u{7}\n",
            "",
            "\n",
        ] {
            let yaml = format!("key: {}\n", block(text, 4).expect("every text can be written"));
            let read: std::collections::BTreeMap<String, String> =
                serde_saphyr::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml:?}: {error}"));
            assert_eq!(read["key"], text, "{yaml}");
        }
    }
}
