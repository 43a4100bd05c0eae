//! What a state keeps, what it refuses, and that it never makes up for a loss.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::UNIX_EPOCH;

use camino::Utf8PathBuf;

use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

type Change<'a> = Box<dyn Fn(String) -> String + 'a>;

struct Fleet {
    _keep: tempfile::TempDir,
    folder: Utf8PathBuf,
}

impl Fleet {
    fn new() -> Self {
        let keep = tempfile::tempdir().expect("a temporary folder");
        let folder = Utf8PathBuf::try_from(keep.path().to_owned()).expect("its name is UTF-8");
        Self { _keep: keep, folder }
    }

    fn built() -> Self {
        let fleet = Self::new();
        let mut state = fleet.open(NOW).expect("it is made");
        state.token("fra1", "ingress", false).expect("a token");
        state.save().expect("it is saved");
        fleet
    }

    fn open(&self, now: u64) -> Result<State, StateError> {
        State::open(&self.folder, "hearth", UNIX_EPOCH + Duration::from_secs(now))
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.folder.join(".meshboot").join(name)
    }

    fn change(&self, name: &str, change: impl Fn(String) -> String) {
        let text = fs::read_to_string(self.path(name)).expect("it is read");
        fs::write(self.path(name), change(text)).expect("it is written");
    }

    /// Every file of the state with its content.
    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = self
            .path("")
            .read_dir_utf8()
            .expect("the folder exists")
            .map(|entry| {
                let entry = entry.expect("an entry");
                (entry.file_name().to_owned(), fs::read(entry.path()).expect("it is read"))
            })
            .collect();
        all.sort();
        all
    }
}

#[test]
fn makes_a_private_folder_that_git_ignores() {
    let fleet = Fleet::built();
    let mode = |name: &str| fs::metadata(fleet.path(name)).expect(name).mode() & 0o7777;
    assert_eq!(mode(""), 0o700);
    let names: Vec<String> = fleet.content().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [".gitignore", "fleet.pem", "home.pem", "lock", "state.json"]);
    for name in names {
        assert_eq!(mode(&name), 0o600, "{name}");
    }
    assert_eq!(fs::read_to_string(fleet.path(".gitignore")).expect("it is read"), "*\n");
    let beside = fleet.folder.read_dir_utf8().expect("the folder exists").count();
    assert_eq!(beside, 1, "nothing but the folder is beside the fleet file");
}

#[test]
fn uses_keys_and_tokens_again_and_gives_the_same_facts() {
    let fleet = Fleet::new();
    let mut first = fleet.open(NOW).expect("it is made");
    let token = first.token("fra1", "ingress", false).expect("a token");
    assert_eq!((token.serial, token.minted), (1, Some(MintReason::First)));
    assert_eq!(token.expires_unix_seconds, NOW + 7 * DAY);
    first.save().expect("it is saved");
    let facts = first.build_facts_parts().expect("facts");
    drop(first);
    let before = fleet.content();

    let mut second = fleet.open(NOW + DAY).expect("it is opened");
    let again = second.token("fra1", "ingress", false).expect("a token");
    assert_eq!((again.serial, again.minted, &again.text), (1, None, &token.text));
    second.save().expect("it is saved");
    assert_eq!(second.build_facts_parts().expect("facts"), facts);
    assert_eq!(facts.build_time_unix_seconds, NOW);
    assert_eq!(fleet.content(), before);
    let home = PrivateKey::from_pem(second.home_key_pem().expose()).expect("the home's key");
    assert_eq!(home.public().to_hex(), facts.home_public_key);
    assert_eq!(home.public().mesh_address(), facts.home_mesh_address);
    let fleet_key =
        crate::identity::PublicKey::from_pem(&facts.fleet_public_key_pem).expect("the fleet's key");
    let verifier = JoinVerifier::new(&fleet_key).expect("a verifier");
    let at = UNIX_EPOCH + Duration::from_secs(NOW);
    assert_eq!(verifier.verify(token.text.expose(), "hearth", at).expect("it is taken").node, "fra1");
}

#[test]
fn mints_with_a_higher_serial_only_for_a_reason() {
    let cases = [
        (5 * DAY - 1, "ingress", false, 1, None),
        (5 * DAY, "ingress", false, 2, Some(MintReason::Expiring)),
        (70 * DAY, "ingress", false, 2, Some(MintReason::Expiring)),
        (DAY, "ingress", true, 2, Some(MintReason::Renewed)),
        (DAY, "relay", false, 2, Some(MintReason::RoleChanged)),
    ];
    for (later, role, renew, serial, minted) in cases {
        let fleet = Fleet::built();
        let mut state = fleet.open(NOW + later).expect("it is opened");
        let token = state.token("fra1", role, renew).expect("a token");
        assert_eq!((token.serial, token.minted), (serial, minted), "{later} {role} {renew}");
        let built = state.build_facts_parts().expect("facts").build_time_unix_seconds;
        assert_eq!(built, if minted.is_some() { NOW + later } else { NOW });
    }
}

#[test]
fn keeps_the_serial_of_a_node_that_left_the_fleet() {
    let fleet = Fleet::built();
    let mut without = fleet.open(NOW + DAY).expect("it is opened");
    without.token("nyc1", "ingress", false).expect("a token");
    without.save().expect("it is saved");
    drop(without);
    let mut back = fleet.open(NOW + 30 * DAY).expect("it is opened");
    assert_eq!(back.token("fra1", "ingress", false).expect("a token").serial, 2);
}

#[test]
fn forgets_tokens_that_were_not_saved() {
    let fleet = Fleet::built();
    let before = fleet.content();
    let mut failed = fleet.open(NOW).expect("it is opened");
    failed.token("nyc1", "ingress", false).expect("a token");
    drop(failed);
    assert_eq!(fleet.content(), before);
}

#[test]
fn refuses_damage_with_a_remedy_and_changes_nothing() {
    let other_key = PrivateKey::from_seed(&[1; 32]).to_pem().expect("it is encoded").expose().clone();
    let cases: Vec<(&str, Change<'_>, &str, &str)> = vec![
        ("fleet.pem", Box::new(|text| text[..40].into()), "damaged", "backup"),
        ("home.pem", Box::new(|_| String::new()), "empty", "backup"),
        ("home.pem", Box::new(|_| other_key.clone()), "another key", "backup"),
        (
            "home.pem",
            Box::new(|text| text.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vu")),
            "damaged",
            "backup",
        ),
        ("state.json", Box::new(|text| text[..text.len() / 2].into()), "damaged: line", "backup"),
        ("state.json", Box::new(|_| "[]".into()), "damaged: line", "backup"),
        (
            "state.json",
            Box::new(|text| text.replace("\"serial\": 1", "\"serial\": \"x\"")),
            "damaged: line",
            "backup",
        ),
        (
            "state.json",
            Box::new(|text| text.replace("\"version\": 1", "\"version\": 2")),
            "version 2",
            "later",
        ),
        (
            "state.json",
            Box::new(|text| text.replace("hearth", "other")),
            "fleet `other`",
            "folder of its own",
        ),
    ];
    for (name, change, says, remedy) in cases {
        let fleet = Fleet::built();
        fleet.change(name, change);
        let before = fleet.content();
        let error = fleet.open(NOW).expect_err(says);
        assert!(error.to_string().contains(says), "{name}: {error}");
        let hint = error.hint().expect(says);
        assert!(hint.contains(remedy), "{name}: {hint}");
        assert_eq!(fleet.content(), before, "{name}: {says}");
    }
}

#[test]
fn never_makes_a_key_for_a_lost_one() {
    for name in ["fleet.pem", "home.pem", "state.json"] {
        let fleet = Fleet::built();
        fs::remove_file(fleet.path(name)).expect("it is removed");
        let error = fleet.open(NOW).expect_err(name);
        assert!(matches!(&error, StateError::Missing { path } if path.ends_with(name)), "{error:?}");
        assert!(error.hint().expect(name).contains("restore"), "{name}");
        assert!(!fleet.path(name).exists(), "{name}");
    }
}

#[test]
fn refuses_what_others_can_read_and_closes_nothing_silently() {
    for (name, mode, remedy) in
        [("", 0o750, "chmod 700"), ("fleet.pem", 0o640, "chmod 600"), ("state.json", 0o604, "chmod 600")]
    {
        let fleet = Fleet::built();
        fs::set_permissions(fleet.path(name), Permissions::from_mode(mode)).expect("its mode");
        let error = fleet.open(NOW).expect_err(name);
        assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        assert!(error.hint().expect(name).contains(remedy), "{:?}", error.hint());
        assert_eq!(fs::metadata(fleet.path(name)).expect(name).mode() & 0o777, mode);
    }
}

#[test]
fn refuses_links_and_things_of_another_kind() {
    let fleet = Fleet::built();
    fs::rename(fleet.path(""), fleet.folder.join("moved")).expect("it is moved");
    symlink("moved", fleet.folder.join(".meshboot")).expect("a link");
    assert!(matches!(fleet.open(NOW), Err(StateError::Link { .. })));

    let fleet = Fleet::built();
    fs::rename(fleet.path("home.pem"), fleet.folder.join("home.pem")).expect("it is moved");
    symlink("../home.pem", fleet.path("home.pem")).expect("a link");
    assert!(matches!(fleet.open(NOW), Err(StateError::Link { .. })));

    let fleet = Fleet::built();
    fs::remove_file(fleet.path("home.pem")).expect("it is removed");
    fs::create_dir(fleet.path("home.pem")).expect("a folder");
    assert!(matches!(fleet.open(NOW), Err(StateError::Kind { wanted: "file", .. })));

    let fleet = Fleet::new();
    fs::write(fleet.folder.join(".meshboot"), "").expect("a file");
    assert!(matches!(fleet.open(NOW), Err(StateError::Kind { wanted: "folder", .. })));
}

#[test]
fn refuses_a_token_in_the_state_that_is_not_good_and_renews_it_when_told() {
    let fleet = Fleet::built();
    fleet.change("state.json", |text| text.replace("v4.public.ey", "v4.public.eY"));
    let mut state = fleet.open(NOW).expect("it is opened");
    let error = state.token("fra1", "ingress", false).expect_err("its token is damaged");
    assert!(matches!(&error, StateError::Token { source: TokenError::Signature, .. }), "{error:?}");
    assert!(error.hint().expect("a hint").contains("--renew fra1"));
    assert_eq!(state.token("fra1", "ingress", true).expect("a token").serial, 2);
}

#[test]
fn refuses_to_date_tokens_by_a_clock_that_went_back() {
    let fleet = Fleet::built();
    // Minutes are forgiven: the token is used again, and the build time stays.
    let mut near = fleet.open(NOW - 120).expect("it is opened");
    assert_eq!(near.token("fra1", "ingress", false).expect("a token").minted, None);
    drop(near);
    let mut state = fleet.open(NOW - DAY).expect("it is opened");
    for node in ["fra1", "nyc1"] {
        let error = state.token(node, "ingress", false).expect_err("the clock is behind");
        assert!(matches!(&error, StateError::ClockBehind { .. }), "{error:?}");
        assert!(error.hint().expect("a hint").contains(&format!("--renew {node}")));
    }
    // The clock is right now and was wrong then: renewing heals it.
    assert_eq!(state.token("fra1", "ingress", true).expect("a token").serial, 2);
    assert_eq!(state.build_facts_parts().expect("facts").build_time_unix_seconds, NOW - DAY);
    for now in [0, 1_735_689_599, u64::from(u32::MAX) * 2] {
        assert!(matches!(fleet.open(now), Err(StateError::Clock { .. })), "{now}");
    }
}

#[test]
fn puts_back_gitignore_and_removes_what_a_killed_build_left() {
    let fleet = Fleet::built();
    fs::remove_file(fleet.path(".gitignore")).expect("it is removed");
    fs::write(fleet.path(".meshboot-new-abcdef"), "half").expect("a file");
    drop(fleet.open(NOW).expect("it is opened"));
    assert!(fleet.path(".gitignore").exists());
    assert!(!fleet.path(".meshboot-new-abcdef").exists());
}

#[test]
fn takes_an_empty_folder_that_somebody_made() {
    let fleet = Fleet::new();
    fs::create_dir(fleet.path("")).expect("a folder");
    fleet.open(NOW).expect("it is made");
    assert_eq!(fs::metadata(fleet.path("")).expect("the folder").mode() & 0o777, 0o700);
}

#[test]
fn lets_builds_that_start_together_agree_on_one_identity() {
    let fleet = Fleet::new();
    let facts: Vec<FactParts> = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..8)
            .map(|build| {
                let fleet = &fleet;
                scope.spawn(move || {
                    let mut state = fleet.open(NOW).expect("it is opened");
                    state.token(&format!("node{build}"), "ingress", false).expect("a token");
                    state.save().expect("it is saved");
                    state.build_facts_parts().expect("facts")
                })
            })
            .collect();
        builds.into_iter().map(|build| build.join().expect("the build ends")).collect()
    });
    assert!(facts.iter().all(|one| one == &facts[0]), "{facts:?}");
    let mut state = fleet.open(NOW).expect("it is opened");
    for build in 0..8 {
        let token = state.token(&format!("node{build}"), "ingress", false).expect("a token");
        assert_eq!(token.minted, None, "node{build}");
    }
}

#[test]
fn waits_for_another_build_and_then_says_so() {
    let fleet = Fleet::built();
    let held = fleet.open(NOW).expect("it is opened");
    let wait = Duration::from_millis(120);
    let begun = std::time::Instant::now();
    let error = StateFolder::open(&fleet.folder, wait, || Ok(Vec::new())).expect_err("it is held");
    assert!(begun.elapsed() >= wait);
    assert!(matches!(&error, StateError::Busy { .. }), "{error:?}");
    drop(held);
    StateFolder::open(&fleet.folder, wait, || Ok(Vec::new())).expect("it is free");
}

#[test]
fn never_prints_a_secret() {
    let fleet = Fleet::built();
    let mut state = fleet.open(NOW).expect("it is opened");
    let token = state.token("fra1", "ingress", false).expect("a token");
    let shown = format!("{state:?} {token:?} {:?}", state.home_key_pem());
    assert!(!shown.contains("v4.public") && !shown.contains("PRIVATE"), "{shown}");
}
