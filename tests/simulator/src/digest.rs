//! Hashes and random values.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hexadecimal: how records and reports speak of tokens and bodies.
pub fn sha256(data: impl AsRef<[u8]>) -> String {
    hexadecimal(&Sha256::digest(data.as_ref()))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// The S256 challenge of a PKCE verifier (RFC 7636 section 4.2).
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// An opaque value: a prefix and `bytes` random bytes.
pub(crate) fn opaque(prefix: &str, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::rng().fill_bytes(&mut random);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random))
}

/// A number in 0..1 that depends on `seed` and `draw` alone.
#[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which a double holds")]
pub(crate) fn draw(seed: u64, draw: u64) -> f64 {
    (mixed(seed, draw) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number that depends on `seed` and `draw` alone (the finalizer of `SplitMix64`).
pub(crate) fn mixed(seed: u64, draw: u64) -> u64 {
    let mut value =
        seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(draw.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
