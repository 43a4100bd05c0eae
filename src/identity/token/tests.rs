//! What a join token is refused for, each with its own error.

use super::*;

const MADE: u64 = 1_800_000_000;

fn claims() -> JoinClaims {
    JoinClaims {
        fleet: "hearth".into(),
        node: "fra1".into(),
        role: "ingress".into(),
        serial: 3,
        issued_unix_seconds: MADE,
        expires_unix_seconds: MADE + DEFAULT_LIFE.as_secs(),
    }
}

fn pair(seed: u8) -> (JoinSigner, JoinVerifier) {
    let key = PrivateKey::from_seed(&[seed; 32]);
    let verifier = JoinVerifier::new(&key.public()).expect("a verifier");
    (JoinSigner::new(&key).expect("a signer"), verifier)
}

fn at(unix_seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds)
}

/// Signs any claims, as an attacker with the key or another program of the fleet might.
fn signed(message: &str, footer: Option<&[u8]>, assertion: &[u8]) -> String {
    PublicToken::sign(&pair(1).0.0, message.as_bytes(), footer, Some(assertion)).expect("it is signed")
}

const GOOD: &str = r#"{"fleet":"hearth","node":"fra1","role":"ingress","serial":3,"iat":"2027-01-15T08:00:00Z","exp":"2027-01-22T08:00:00Z"}"#;

#[test]
fn takes_its_own_token_for_its_whole_life() {
    let (signer, verifier) = pair(1);
    let token = signer.sign(&claims()).expect("it is signed");
    assert_eq!(
        token.expose(),
        &signed(GOOD, None, ASSERTION),
        "the wire format is what nodes in the field hold"
    );
    let last = claims().expires_unix_seconds - 1;
    for now in [MADE, MADE + 86_400, last, MADE - CLOCK_LEEWAY.as_secs()] {
        assert_eq!(
            verifier.verify(token.expose(), "hearth", at(now)).expect("it is taken"),
            claims(),
            "{now}"
        );
    }
}

#[test]
fn gives_the_same_token_for_the_same_claims() {
    let (signer, _) = pair(1);
    let one = signer.sign(&claims()).expect("it is signed");
    assert_eq!(one, signer.sign(&claims()).expect("it is signed"));
    assert_ne!(one, signer.sign(&JoinClaims { serial: 4, ..claims() }).expect("it is signed"));
}

#[test]
fn refuses_each_flaw_with_its_own_error() {
    let (signer, verifier) = pair(1);
    let good = signer.sign(&claims()).expect("it is signed").expose().clone();
    let foreign = pair(2).0.sign(&claims()).expect("it is signed").expose().clone();
    let middle = good.len() / 2;
    let flipped: String = good
        .char_indices()
        .map(|(place, letter)| match (place == middle, letter) {
            (true, 'A') => 'B',
            (true, _) => 'A',
            _ => letter,
        })
        .collect();
    let cases = [
        ("empty", String::new(), TokenError::Malformed),
        ("words", "hello".into(), TokenError::Malformed),
        ("local", good.replace("public", "local"), TokenError::Malformed),
        ("old version", good.replace("v4", "v2"), TokenError::Malformed),
        ("cut off", good[..60].into(), TokenError::Malformed),
        ("not base64", good.replace("v4.public.", "v4.public.!"), TokenError::Malformed),
        ("padded with space", format!("{good} "), TokenError::Malformed),
        ("too long", format!("{good}{}", "A".repeat(LONGEST)), TokenError::Malformed),
        ("empty footer", format!("{good}."), TokenError::Malformed),
        ("with footer", signed(GOOD, Some(b"{}"), ASSERTION), TokenError::Malformed),
        ("changed", flipped, TokenError::Signature),
        ("another key", foreign, TokenError::Signature),
        ("another purpose", signed(GOOD, None, b"meshboot-operator-v1"), TokenError::Signature),
        ("no purpose", signed(GOOD, None, b""), TokenError::Signature),
        ("not JSON", signed("hello", None, ASSERTION), TokenError::Claims),
        ("no expiry", signed(&GOOD.replace("exp", "xyz"), None, ASSERTION), TokenError::Claims),
        (
            "unknown claim",
            signed(&GOOD.replace('{', r#"{"only":"v6","#), None, ASSERTION),
            TokenError::Claims,
        ),
        ("serial below zero", signed(&GOOD.replace(":3", ":-3"), None, ASSERTION), TokenError::Claims),
        ("no date", signed(&GOOD.replace("2027-01-22", "next week"), None, ASSERTION), TokenError::Claims),
        ("ends before it begins", signed(&GOOD.replace("-22T", "-14T"), None, ASSERTION), TokenError::Claims),
        (
            "another fleet",
            signed(&GOOD.replace("hearth", "other"), None, ASSERTION),
            TokenError::OtherFleet { found: "other".into() },
        ),
    ];
    for (flaw, token, expected) in cases {
        assert_eq!(verifier.verify(&token, "hearth", at(MADE)), Err(expected), "{flaw}");
    }
    let at_end = claims().expires_unix_seconds;
    let expired = TokenError::Expired { expired: "2027-01-22T08:00:00Z".into() };
    assert_eq!(verifier.verify(&good, "hearth", at(at_end)), Err(expired));
    let early = TokenError::NotYetValid { issued: "2027-01-15T08:00:00Z".into() };
    assert_eq!(verifier.verify(&good, "hearth", at(MADE - CLOCK_LEEWAY.as_secs() - 1)), Err(early));
}

#[test]
fn signs_no_claims_that_make_no_sense() {
    let (signer, _) = pair(1);
    let bad = [
        JoinClaims { expires_unix_seconds: MADE, ..claims() },
        JoinClaims { expires_unix_seconds: u64::MAX, ..claims() },
        JoinClaims { node: String::new(), ..claims() },
        JoinClaims { fleet: String::new(), ..claims() },
    ];
    for claims in bad {
        assert_eq!(signer.sign(&claims), Err(TokenError::Unsignable), "{claims:?}");
    }
}

#[test]
fn never_prints_a_token_or_key() {
    let (signer, _) = pair(1);
    let token = signer.sign(&claims()).expect("it is signed");
    let shown = format!("{token:?} {signer:?}");
    assert!(!shown.contains("v4") && !shown.contains("[1, 1"), "{shown}");
}
