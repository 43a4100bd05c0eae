//! Why a fleet's state cannot be used, and what to do about it.
//!
//! Nothing here is ever healed by making a new key: every node that exists trusts the old one.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{KeyError, TokenError};
use crate::diag::Refusal;
use crate::sys::atomic::WriteError;

/// Why a fleet's state was not opened, read, used or saved. What lies on the disk is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Something could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something could not be read.
    #[error("reading `{path}`")]
    Read {
        /// The file or folder.
        path: Utf8PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A symbolic link stands where the state, which is secret, is to lie.
    #[error("`{path}` is a symbolic link, and secrets are not kept behind one")]
    Link {
        /// The link.
        path: Utf8PathBuf,
    },
    /// Something of another kind stands there, a file in place of the folder for instance.
    #[error("`{path}` is not a {wanted}")]
    Kind {
        /// What stands there.
        path: Utf8PathBuf,
        /// `folder` or `file`.
        wanted: &'static str,
    },
    /// Group or others may read or write it.
    #[error("`{path}` is open to other users (mode {mode:04o})")]
    TooOpen {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// It belongs to somebody else.
    #[error("`{path}` belongs to user {owner}, not to the user {user} who runs this")]
    Foreign {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Its owner's number.
        owner: u32,
        /// The number of the user who runs this process.
        user: u32,
    },
    /// A file of the state is gone.
    #[error("`{path}` is missing, though the fleet has been built before")]
    Missing {
        /// The file.
        path: Utf8PathBuf,
    },
    /// `state.json` is not what was written.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong; never content of the file.
        reason: String,
    },
    /// A key file is not what was written.
    #[error("`{path}` is damaged")]
    Key {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A whole key, but not the one that this fleet was built with.
    #[error("`{path}` holds another key than the one this fleet was built with")]
    OtherKey {
        /// The file.
        path: Utf8PathBuf,
    },
    /// Written by a later meshboot.
    #[error("`{path}` has version {found}, and this meshboot knows version {known}")]
    Version {
        /// The file.
        path: Utf8PathBuf,
        /// Version of the file.
        found: u64,
        /// Version that is known here.
        known: u64,
    },
    /// The state beside this file is another fleet's.
    #[error("`{path}` holds the state of the fleet `{found}`, not of `{wanted}`")]
    OtherFleet {
        /// The folder.
        path: Utf8PathBuf,
        /// Fleet of the state.
        found: String,
        /// Fleet that is being built.
        wanted: String,
    },
    /// Another build holds the lock.
    #[error("another build is using `{path}`, still after {seconds} seconds")]
    Busy {
        /// The folder.
        path: Utf8PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// This machine's clock cannot be right.
    #[error("this machine's clock says {now}, which cannot be")]
    Clock {
        /// Its time, in RFC 3339 where that can write it.
        now: String,
    },
    /// This machine's clock says a time before the last build.
    #[error("this machine's clock says {now}, and the fleet was built last at {built}")]
    ClockBehind {
        /// Its time, in RFC 3339.
        now: String,
        /// The time of the last build, in RFC 3339.
        built: String,
        /// Node whose token was wanted.
        node: String,
    },
    /// A token in the state cannot be used.
    #[error("the join token of `{node}` in `{path}` cannot be used")]
    Token {
        /// The file.
        path: Utf8PathBuf,
        /// The node.
        node: String,
        /// What is wrong with the token.
        source: TokenError,
    },
    /// The operating system gave no randomness for a key.
    #[error("making a key")]
    Randomness(#[source] getrandom::Error),
}

impl StateError {
    /// What the reader can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Write(WriteError::Io { path, source, .. })
                if path.file_name() == Some(".meshboot") && cannot_write(source) =>
            {
                "a fleet's keys are kept beside its file: put the file into a folder that you may write in"
                    .to_owned()
            }
            Self::Write(error) => return error.hint(),
            Self::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!("run this as the user who owns `{path}`")
            }
            Self::Read { .. } | Self::Randomness(_) => return None,
            Self::Link { path } => {
                format!("put what it points to in its place: `rm {path}`, then move it there")
            }
            Self::Kind { path, .. } => format!("move `{path}` away, or restore it from a backup"),
            Self::TooOpen { path, wanted, .. } => {
                format!(
                    "whoever read it can act as this fleet; if nobody did, close it: `chmod {wanted:o} {path}`"
                )
            }
            Self::Foreign { path, owner, .. } => {
                format!("run this as user {owner}, or make it yours: `sudo chown \"$(id -u)\" {path}`")
            }
            Self::Missing { path }
            | Self::Key { path, .. }
            | Self::OtherKey { path }
            | Self::Damaged { path, .. } => restore(path),
            Self::Version { .. } => "use the meshboot that wrote it, or a later one".to_owned(),
            Self::OtherFleet { path, found, .. } => format!(
                "give every fleet a folder of its own; if `{found}` was renamed, give it its old name back, or move \
                 `{path}` away and set up every node anew"
            ),
            Self::Busy { .. } => "wait for the other build to end, then run this again".to_owned(),
            Self::Clock { .. } => "set the clock: tokens are dated by it".to_owned(),
            Self::ClockBehind { node, .. } => format!(
                "set the clock; if it is right, and was wrong at the last build, make a new token: `--renew {node}`"
            ),
            Self::Token { node, .. } => format!("make a new one: `--renew {node}`"),
        })
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::from_error(&error, error.hint())
    }
}

/// Whether the folder is the wrong one, not the moment.
fn cannot_write(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// The remedy for what is lost or damaged.
fn restore(path: &Utf8Path) -> String {
    let folder = path.parent().unwrap_or(path);
    format!(
        "restore `{path}` from a backup; without one the fleet's identity is lost: move `{folder}` away, build again, \
         and set up every node anew"
    )
}
