//! The address of the ACME account: the part of RFC 5321 that CAs take.

use super::domain;
use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Checks an e-mail address.
pub(in crate::fleet) fn check(text: &str) -> Result<(), Problem> {
    let problem = |why: &str| {
        Problem::new(Rule::Email, format!("{} is not an e-mail address: {why}", quote(text)))
            .hint("as in `me@example.org`")
    };
    if text.starts_with("mailto:") {
        return Err(problem("it starts with `mailto:`"));
    }
    let (local, host) = text.split_once('@').ok_or_else(|| problem("it has no `@`"))?;
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    if local.is_empty() || local.len() > 64 || !local.bytes().all(is_atom) {
        return Err(problem(
            "what stands before the `@` has characters that CAs refuse, is empty, or too long",
        ));
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(problem("dots stand between other characters"));
    }
    if text.len() > 254 || domain::parse(host).is_err() {
        return Err(problem("what stands after the `@` is not a domain"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn addresses_have_a_name_and_a_domain() {
        for text in ["me@example.org", "a.b+c@mail.example.org", "me@bücher.example"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "me",
            "@example.org",
            "me@",
            "me@host",
            "a b@example.org",
            "a@b@example.org",
            "é@example.org",
            "mailto:me@example.org",
            ".a@example.org",
            "a..b@example.org",
            "me@192.168.1.1",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
