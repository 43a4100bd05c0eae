//! Names of fleets, nodes and WANs: host names, labels of cloud resources, and words in haproxy's configuration.

use crate::diag::{Problem, quote};
use crate::fleet::rule::Rule;

/// Longest name: providers' labels and haproxy's server names take more, Linode's label does not.
const LONGEST: usize = 32;

/// Checks a name; `what` has it, as in "a fleet".
pub(in crate::fleet) fn check(text: &str, what: &str) -> Result<(), Problem> {
    let why = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.len() > LONGEST {
        format!("it is {} characters long, and names end at {LONGEST}", text.chars().count())
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "it has upper-case letters".to_owned()
    } else if !text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        "it has characters other than a to z, 0 to 9 and `-`".to_owned()
    } else if text.starts_with('-') || text.ends_with('-') {
        "it starts or ends with a hyphen".to_owned()
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        "it is a number".to_owned()
    } else if text == "localhost" {
        "every machine has that name".to_owned()
    } else {
        return Ok(());
    };
    let problem = Problem::new(Rule::Name, format!("{} cannot be the name of {what}: {why}", quote(text)));
    let suggestion: String =
        text.to_lowercase().replace(['_', ' ', '.'], "-").chars().take(LONGEST).collect();
    Err(if suggestion != text && check(&suggestion, what).is_ok() {
        problem.hint(format!("`{suggestion}` can be"))
    } else {
        problem.hint("a name is a DNS label (RFC 1123), as in `fra1`")
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_short_labels() {
        for text in ["a", "fra1", "a-b", "1a", &"a".repeat(32)] {
            assert!(check(text, "a node").is_ok(), "{text}");
        }
        for text in ["", "-a", "a-", "A", "a_b", "a.b", "é", "a b", "123", "localhost", &"a".repeat(33)] {
            assert!(check(text, "a node").is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_suggested() {
        let problem = check("My_Node", "a node").expect_err("upper case");
        assert_eq!(problem.hint.as_deref(), Some("`my-node` can be"));
    }
}
