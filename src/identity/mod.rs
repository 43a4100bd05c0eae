//! Who is who: keys, mesh addresses, join tokens, and the folder that keeps them.
//!
//! Not here: enrolment (the home service) and which files of a node carry what (`render`). To add something that must
//! not be lost: a field in `stored`, a method on [`State`], and a higher version if older state cannot be read.

mod folder;
mod key;
mod mesh_address;
mod state;
mod state_error;
mod stored;
mod token;

pub use key::{KeyError, PrivateKey, PublicKey};
pub use mesh_address::{MeshAddress, NotAMeshAddress};
pub use state::{FactParts, MintReason, State, Token};
pub use state_error::StateError;
pub use token::{DEFAULT_LIFE, JoinClaims, JoinSigner, JoinVerifier, TokenError};
