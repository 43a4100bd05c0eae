//! The URL of an ACME directory (RFC 8555 section 7.1.1), and the two that have a name.

use super::host;
use super::host::split_port;
use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Directory of Let's Encrypt.
pub(in crate::fleet) const LETSENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Directory of Let's Encrypt for trials: no browser trusts its certificates.
pub(in crate::fleet) const LETSENCRYPT_STAGING: &str =
    "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Reads `letsencrypt`, `letsencrypt-staging` or the URL of a directory.
pub(in crate::fleet) fn acme_directory(text: &str) -> Result<String, Problem> {
    match text {
        "letsencrypt" => return Ok(LETSENCRYPT.to_owned()),
        "letsencrypt-staging" => return Ok(LETSENCRYPT_STAGING.to_owned()),
        _ => {}
    }
    let problem = |why: &str| {
        Problem::new(Rule::AcmeServer, format!("{} is not an ACME server: {why}", quote(text)))
            .hint("write `letsencrypt`, `letsencrypt-staging` or the `https://` URL of a directory")
    };
    let rest = text.strip_prefix("https://").ok_or_else(|| problem("it is not an `https://` URL"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // What may stand in a URL (RFC 3986), less what a shell or a configuration file would read otherwise.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?=&:%+,@".contains(&byte);
    if authority.contains('@') || !path.bytes().all(is_plain) {
        return Err(problem("it has characters that a directory's URL does not need"));
    }
    let (name, _) = split_port(authority, Some(443)).map_err(|why| problem(&why))?;
    host::parse(name).map_err(|_| problem("its host is neither an address nor a name"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::acme_directory;

    #[test]
    fn a_directory_is_an_https_url() {
        for text in [
            "letsencrypt",
            "letsencrypt-staging",
            "https://ca.example.org/dir",
            "https://[fd00::1]:14000/dir",
        ] {
            assert!(acme_directory(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "http://ca.example.org",
            "Letsencrypt",
            "https://",
            "https://a b/",
            "https://x/$(id)",
            "https://u@x/",
            "https://x:0/",
        ] {
            assert!(acme_directory(text).is_err(), "{text}");
        }
    }
}
