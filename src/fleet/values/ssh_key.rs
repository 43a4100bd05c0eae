//! OpenSSH public keys, judged by their structure (RFC 4253 section 6.6) through the `ssh-key` crate.

use ssh_key::{Algorithm, PublicKey};

use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Shortest RSA modulus in bits that is worth a login.
const SHORTEST_RSA: usize = 2_048;
const MAKE_ONE: &str =
    "`ssh-keygen -t ed25519` makes one; its public half is the line in `~/.ssh/id_ed25519.pub`";

/// Whether the text holds a private key, which must never be shown.
pub(in crate::fleet) fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY")
        || text.starts_with("b3BlbnNzaC1rZXktdjE")
        || text.starts_with("PuTTY-User-Key-File")
}

/// Checks a key and returns what makes it the same key as another: algorithm and data, not the comment.
pub(in crate::fleet) fn check(text: &str) -> Result<String, Problem> {
    if is_private(text) {
        return Err(Problem::new(Rule::PrivateKey, "this is a private key, or a part of one")
            .hint("write the public half (`ssh-keygen -y -f KEY` prints it), and make a new key if this file was shared"));
    }
    let mut words = text.split_ascii_whitespace();
    let (Some(algorithm), Some(data)) = (words.next(), words.next()) else {
        return Err(Problem::new(Rule::SshKey, format!("{} is not an OpenSSH public key", quote(text)))
            .hint(MAKE_ONE));
    };
    if algorithm == "ssh-dss" {
        return Err(Problem::new(Rule::SshKeyWeak, "sshd of Debian 13 takes no DSA keys").hint(MAKE_ONE));
    }
    if algorithm.contains("-cert-v01@") {
        return Err(Problem::new(Rule::SshKey, "this is a certificate, which expires; a key belongs here")
            .hint(MAKE_ONE));
    }
    let known =
        algorithm.starts_with("ssh-") || algorithm.starts_with("ecdsa-") || algorithm.starts_with("sk-");
    if !known {
        let message = format!("{} starts with no key type", quote(text));
        return Err(Problem::new(Rule::SshKey, message)
            .hint("a key starts with its type, as in `ssh-ed25519 AAAA… me`, and has no options before it"));
    }
    let key = PublicKey::from_openssh(text).map_err(|_| {
        Problem::new(Rule::SshKey, format!("the key of type {} is damaged", quote(algorithm)))
            .hint("copy the whole line again: `cat ~/.ssh/id_ed25519.pub`")
    })?;
    judge(&key)?;
    Ok(format!("{algorithm} {data}"))
}

fn judge(key: &PublicKey) -> Result<(), Problem> {
    match key.algorithm() {
        Algorithm::Rsa { .. } => {
            let bits =
                key.key_data().rsa().and_then(|rsa| rsa.n.as_positive_bytes()).map_or(0, |n| n.len() * 8);
            if bits < SHORTEST_RSA {
                let message = format!("an RSA key of {bits} bits can be broken");
                return Err(Problem::new(Rule::SshKeyWeak, message).hint(MAKE_ONE));
            }
            Ok(())
        }
        Algorithm::Ed25519
        | Algorithm::Ecdsa { .. }
        | Algorithm::SkEd25519
        | Algorithm::SkEcdsaSha2NistP256 => Ok(()),
        other => {
            Err(Problem::new(Rule::SshKey, format!("sshd of Debian 13 takes no keys of type `{other}`"))
                .hint(MAKE_ONE))
        }
    }
}
