//! Where a secret lies: `env:NAME` or `file:PATH`. What was written is never repeated, since it may be the secret.

use camino::Utf8PathBuf;

use crate::diag::Problem;
use crate::fleet::model::SecretSource;
use crate::fleet::rule::Rule;

/// Reads a reference to a secret.
pub(in crate::fleet) fn parse(text: &str) -> Result<SecretSource, Problem> {
    let problem = |message: &str| {
        Problem::new(Rule::SecretSource, message)
            .hint("secrets are never written in the file: use `env:NAME` or `file:PATH`, and change a secret that was")
    };
    if let Some(name) = text.strip_prefix("env:") {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        return if is_name {
            Ok(SecretSource::Environment(name.to_owned()))
        } else {
            Err(problem("after `env:` comes the name of a variable: letters, digits and `_`"))
        };
    }
    match text.strip_prefix("file:") {
        Some("") => Err(problem("after `file:` comes a path")),
        Some(path) => Ok(SecretSource::File(Utf8PathBuf::from(path))),
        None => Err(problem("not a reference to a secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_reference_and_never_the_secret() {
        assert!(parse("env:DNS_TSIG").is_ok());
        assert!(parse("file:/etc/key").is_ok());
        for text in ["hunter2", "env:", "env:hunter2!", "env:2x", "file:", "ENV:X"] {
            let problem = parse(text).expect_err(text);
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }
}
