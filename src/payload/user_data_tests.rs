//! Encodings: which is chosen, what it counts, and that it unpacks to what went in.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;

use super::{MIME_HEADER, MIME_LEVEL, PORTABLE_BUDGET, Part, UserDataError, encode, encode_unbounded, gzip};
use crate::profile;
use crate::profile::provider::{Counts, Encoding, Provider};

fn provider(name: &str) -> &'static Provider {
    profile::provider(name).expect("a profile")
}

/// A cloud-config of `bytes` bytes that gzip makes much smaller.
fn soft(bytes: usize) -> String {
    let mut text = String::from("#cloud-config\n");
    while text.len() < bytes {
        text.push_str("# a line that comes again and again\n");
    }
    text.truncate(bytes);
    text
}

/// A cloud-config that gzip can hardly make smaller.
fn hard(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut text = String::from("#cloud-config\n# ");
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(b'!' + u8::try_from(state % 94).expect("below 94")));
    }
    text
}

fn unpack(text: &str) -> String {
    let body = text.strip_prefix(MIME_HEADER).expect("the header stands at byte 0");
    assert!(body.lines().all(|line| line.len() <= 76));
    let packed = STANDARD.decode(body.replace('\n', "")).expect("base64");
    let mut whole = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut whole).expect("gzip");
    whole
}

#[test]
fn the_mime_header_is_84_bytes_and_starts_with_its_version() {
    assert_eq!(MIME_HEADER.len(), 84);
    assert!(MIME_HEADER.starts_with("MIME-Version: 1.0\n"));
    assert!(MIME_HEADER.ends_with("base64\n\n"));
}

#[test]
fn takes_plain_text_up_to_the_last_byte_and_packs_what_is_longer() {
    for (name, most) in [
        ("generic", 16_384),
        ("aws", 16_384),
        ("linode", 16_384),
        ("hetzner", 32_768),
        ("digitalocean", 65_536),
        ("azure", 65_535),
        ("exoscale", 24_573),
        ("openstack", 49_149),
        ("oci", 22_464),
    ] {
        let fits = encode(&soft(most), provider(name), &[]).expect(name);
        assert_eq!((fits.encoding, fits.text.len()), (Encoding::Plain, most), "{name}");
        let packed = encode(&soft(most + 1), provider(name), &[]).expect(name);
        assert_eq!(packed.encoding, Encoding::MimeGzip, "{name}");
        assert_eq!(unpack(&packed.text), soft(most + 1), "{name}");
        assert!(packed.limit.is_some_and(|limit| packed.counted <= limit), "{name}");
    }
}

#[test]
fn a_file_has_no_limit() {
    let whole = encode(&hard(400_000), provider("proxmox"), &[]).expect("no limit");
    assert_eq!((whole.encoding, whole.limit, whole.counted), (Encoding::Plain, None, 400_000));
}

#[test]
fn counts_base64_characters_where_the_provider_does() {
    let fits = encode("#cloud-config\n", provider("exoscale"), &[]).expect("small");
    assert_eq!((fits.counts, fits.counted), (Counts::Base64, 20));
}

#[test]
fn names_limit_size_and_the_three_largest_parts_of_what_fits_nowhere() {
    let part = |name: &str, bytes| Part { name: name.to_owned(), bytes };
    let parts = [part("/etc/a", 10), part("/etc/b", 9_000), part("/etc/c", 300), part("/etc/d", 9_000)];
    let error = encode(&hard(30_000), provider("generic"), &parts).expect_err("too large");
    let UserDataError::TooLarge { counted, limit, .. } = error else { panic!("{error:?}") };
    assert!(counted > limit && limit == 16_384);
    assert_eq!(
        error.to_string(),
        format!(
            "the payload is {counted} bytes and Any provider takes 16384; the largest parts are `/etc/b` (9000 \
             bytes), `/etc/d` (9000 bytes), `/etc/c` (300 bytes)"
        )
    );
    assert!(error.hint().is_some());
}

#[test]
fn a_home_is_packed_only_where_that_brings_it_into_the_portable_budget() {
    let small = encode_unbounded(&soft(16_384)).expect("small");
    assert_eq!(small.encoding, Encoding::Plain);
    let packed = encode_unbounded(&soft(60_000)).expect("soft");
    assert_eq!(packed.encoding, Encoding::MimeGzip);
    assert!(packed.counted <= PORTABLE_BUDGET);
    let huge = encode_unbounded(&hard(60_000)).expect("hard");
    assert_eq!((huge.encoding, huge.limit), (Encoding::Plain, None));
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let first = encode(&soft(20_000), provider("generic"), &[]).expect("soft");
    assert_eq!(first, encode(&soft(20_000), provider("generic"), &[]).expect("soft"));
    let body = first.text.strip_prefix(MIME_HEADER).expect("packed").replace('\n', "");
    let packed = STANDARD.decode(body).expect("base64");
    // RFC 1952: magic, deflate, no flags, time 0, neither slowest nor fastest algorithm, unknown system.
    assert_eq!(packed[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn every_processor_compresses_to_the_same_bytes() {
    // The compressor has code of its own for some processors; these sums hold on one that has no SSE 4 as well.
    let sum = |level| {
        let packed = gzip(soft(20_000).as_bytes(), Compression::new(level)).expect("it is compressed");
        crate::payload::manifest::sha256_hex(&packed)
    };
    assert_eq!(sum(MIME_LEVEL), "b01e4549af605edbc47d8af4c8e68d6b4634fe6ea625f04958738232be64d2cf");
    assert_eq!(
        sum(Compression::fast().level()),
        "7f3e5960b75b302832be1e11c9514c6f059c4a2c494ec910df79d681306c6800"
    );
}
