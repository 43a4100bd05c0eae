//! A node's address in the mesh, derived from its public key.
//!
//! Not here: subnets (`300::/8`), which Yggdrasil routes to a node as well and which identify nobody.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// First byte of a node's address: `200::/8`. Yggdrasil's `200::/7` also holds the subnets, `300::/8`.
const PREFIX: u8 = 0x02;

/// A node's Yggdrasil address, always in `200::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeshAddress(Ipv6Addr);

/// An address, or a text, that cannot be a node's identity in the mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a mesh address of a node (200::/8)")]
pub struct NotAMeshAddress(String);

impl MeshAddress {
    /// Derives the address from an ed25519 public key: the key's bits are inverted; byte 0 is 0x02, byte 1 counts the
    /// leading ones, and the bits after the first zero follow, as far as they fill whole bytes.
    ///
    /// Source: yggdrasil-go `src/address/address.go`, `AddrForKey`.
    #[must_use]
    pub fn from_public_key(key: &[u8; 32]) -> Self {
        let inverted = key.map(|byte| !byte);
        let ones = inverted
            .iter()
            .position(|&byte| byte != 0xff)
            .map_or(256, |full| full * 8 + inverted[full].leading_ones() as usize);
        let mut address = [0; 16];
        address[0] = PREFIX;
        // The original counts in a byte: the all-zero key wraps to 0.
        address[1] = u8::try_from(ones % 256).unwrap_or_default();
        for (place, byte) in address[2..].iter_mut().enumerate() {
            *byte = bits_from(&inverted, ones + 1 + place * 8).unwrap_or(0);
        }
        Self(Ipv6Addr::from(address))
    }

    /// The IPv6 address.
    #[must_use]
    pub fn ip(self) -> Ipv6Addr {
        self.0
    }
}

/// Eight bits of a key from bit `start` on; nothing where fewer are left, which the original drops.
fn bits_from(key: &[u8; 32], start: usize) -> Option<u8> {
    if start + 8 > key.len() * 8 {
        return None;
    }
    let (byte, shift) = (start / 8, start % 8);
    let pair = u16::from_be_bytes([key[byte], key.get(byte + 1).copied().unwrap_or(0)]);
    let [high, _] = (pair << shift).to_be_bytes();
    Some(high)
}

impl TryFrom<Ipv6Addr> for MeshAddress {
    type Error = NotAMeshAddress;

    fn try_from(address: Ipv6Addr) -> Result<Self, Self::Error> {
        if address.octets()[0] == PREFIX {
            Ok(Self(address))
        } else {
            Err(NotAMeshAddress(address.to_string()))
        }
    }
}

impl FromStr for MeshAddress {
    type Err = NotAMeshAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Ipv6Addr>().map_err(|_| NotAMeshAddress(text.to_owned())).and_then(Self::try_from)
    }
}

impl fmt::Display for MeshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for MeshAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MeshAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's loop, bit by bit, to compare with.
    fn bit_by_bit(key: &[u8; 32]) -> Ipv6Addr {
        let (mut ones, mut done, mut bits, mut count, mut rest) = (0u8, false, 0u8, 0, Vec::new());
        for index in 0..256 {
            let bit = (!key[index / 8] >> (7 - index % 8)) & 1;
            if !done {
                if bit == 1 {
                    ones = ones.wrapping_add(1);
                } else {
                    done = true;
                }
                continue;
            }
            bits = (bits << 1) | bit;
            count += 1;
            if count == 8 {
                rest.push(bits);
                (bits, count) = (0, 0);
            }
        }
        rest.resize(14.max(rest.len()), 0);
        let mut address = [0; 16];
        address[0] = 2;
        address[1] = ones;
        address[2..].copy_from_slice(&rest[..14]);
        Ipv6Addr::from(address)
    }

    /// A key whose inverse has exactly `ones` leading ones, then a zero, then the bits of `pattern`.
    fn key_with(ones: usize, pattern: u8) -> [u8; 32] {
        let mut key = [!pattern; 32];
        for bit in 0..ones {
            key[bit / 8] &= !(0x80 >> (bit % 8));
        }
        if ones < 256 {
            key[ones / 8] |= 0x80 >> (ones % 8);
        }
        key
    }

    #[test]
    fn derives_the_address_of_keys_with_a_known_one() {
        let cases = [
            ([0xff; 32], "200::"),
            // 256 leading ones wrap to zero.
            ([0x00; 32], "200::"),
            // The first bit ends the count; what follows are the inverted bits.
            ([0x80; 32], "200:fefe:fefe:fefe:fefe:fefe:fefe:fefe"),
        ];
        for (key, address) in cases {
            assert_eq!(MeshAddress::from_public_key(&key).to_string(), address, "{key:x?}");
        }
    }

    #[test]
    fn derives_the_address_for_every_count_of_leading_ones() {
        for ones in 0..=256 {
            for pattern in [0x00, 0xff, 0xa5, 0x3c] {
                let key = key_with(ones, pattern);
                assert_eq!(MeshAddress::from_public_key(&key).ip(), bit_by_bit(&key), "{ones} {pattern:x}");
            }
        }
    }

    #[test]
    fn takes_nodes_addresses_only() {
        for good in ["200::1", "2ff:ffff::", "201:1234::5"] {
            assert_eq!(good.parse::<MeshAddress>().expect(good).to_string(), good);
            let json = format!("\"{good}\"");
            let address: MeshAddress = serde_json::from_str(&json).expect(good);
            assert_eq!(serde_json::to_string(&address).expect(good), json);
        }
        for bad in ["300::1", "1ff::1", "2001:db8::1", "::1", "200::1%eth0", "192.0.2.1", "", "200::/8"] {
            let error = bad.parse::<MeshAddress>().expect_err(bad);
            assert!(error.to_string().contains(bad), "{error}");
            assert!(serde_json::from_str::<MeshAddress>(&format!("\"{bad}\"")).is_err(), "{bad}");
        }
    }
}
