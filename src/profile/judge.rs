//! Tells whether an embedded file parses: templates (`*.j2`) in minijinja's syntax, provider profiles in their shape,
//! any other `*.yaml` and `*.json` in theirs.
//!
//! Not here: what templates say when rendered (`render` tests that). `build.rs` includes this file, so it may import
//! nothing of the crate but its sibling `provider`. To judge one more kind of file, add an arm to `judge`.

use std::fmt;

use super::provider::Provider;

/// Why a file does not parse, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File, as in `profiles/providers/generic.yaml`.
    pub path: String,
    /// Line, counted from 1.
    pub line: u64,
    /// Parser's words.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Parses the file `path` with these `contents`; `None` when it is sound or of a kind that has no syntax to check.
#[must_use]
pub fn judge(path: &str, contents: &[u8]) -> Option<Fault> {
    let fault = |line, message: String| Some(Fault { path: path.to_owned(), line, message });
    let text = match std::str::from_utf8(contents) {
        Ok(text) => text,
        Err(error) => {
            let line = contents[..error.valid_up_to()].split(|&byte| byte == b'\n').count() as u64;
            return fault(line, "not UTF-8 text".to_owned());
        }
    };
    let (line, message) = match kind(path) {
        Kind::Template => template(path, text)?,
        Kind::Provider => provider(text)?,
        Kind::Yaml => yaml::<serde_json::Value>(text).err()?,
        Kind::Json => json(text)?,
        Kind::Other => return None,
    };
    fault(line, message)
}

enum Kind {
    Template,
    Provider,
    Yaml,
    Json,
    Other,
}

fn kind(path: &str) -> Kind {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("j2") => Kind::Template,
        Some("yaml") if path.starts_with("profiles/providers/") => Kind::Provider,
        Some("yaml" | "yml") => Kind::Yaml,
        Some("json") => Kind::Json,
        _ => Kind::Other,
    }
}

type Trouble = (u64, String);

fn template(path: &str, text: &str) -> Option<Trouble> {
    let error = minijinja::Environment::new().template_from_named_str(path, text).err()?;
    let message = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    Some((error.line().unwrap_or(1) as u64, message))
}

fn provider(text: &str) -> Option<Trouble> {
    match yaml::<Provider>(text) {
        Ok(provider) => provider.fault().map(|message| (1, message)),
        Err(trouble) => Some(trouble),
    }
}

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_saphyr::from_str::<T>(text).map_err(|error| {
        let message = error.without_snippet().to_string();
        (error.location().map_or(1, |location| location.line()), message)
    })
}

fn json(text: &str) -> Option<Trouble> {
    let error = serde_json::from_str::<serde_json::Value>(text).err()?;
    Some((error.line() as u64, error.to_string()))
}
