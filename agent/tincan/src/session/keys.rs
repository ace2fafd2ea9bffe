//! Data keys and the seal of records (wire.md §4.2, §5).

use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, CHACHA20_POLY1305};
use ring::hkdf::{KeyType, Salt, HKDF_SHA256};

use super::Cipher;
use crate::wire::sealed::{SessionHeader, SESSION_HEADER, TAG};

/// A session ends before a counter could come again.
pub const COUNTER_END: u64 = 1 << 60;

impl KeyType for Cipher {
    fn len(&self) -> usize {
        match self {
            Cipher::Aes128Gcm => 16,
            Cipher::ChaCha20Poly1305 => 32,
        }
    }
}

/// Key of one direction: HKDF-SHA256(salt `evio/1`, input k, info `data` || cipher).
pub fn data_key(k: &[u8; 32], cipher: Cipher) -> Option<Vec<u8>> {
    let mut key = vec![0; cipher.len()];
    let info = [&b"data"[..], &[cipher.number()]];
    Salt::new(HKDF_SHA256, b"evio/1").extract(k).expand(&info, cipher).ok()?.fill(&mut key).ok()?;
    Some(key)
}

pub struct DirectionKey(LessSafeKey);

impl DirectionKey {
    pub fn new(k: &[u8; 32], cipher: Cipher) -> Option<Self> {
        Self::from_data_key(&data_key(k, cipher)?, cipher)
    }

    pub fn from_data_key(key: &[u8], cipher: Cipher) -> Option<Self> {
        let algorithm = match cipher {
            Cipher::Aes128Gcm => &AES_128_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        UnboundKey::new(algorithm, key).ok().map(|key| DirectionKey(LessSafeKey::new(key)))
    }

    /// Seals in place: `record` is room for the header, the plaintext, room for the tag.
    pub fn seal(&self, header: SessionHeader, record: &mut [u8]) -> Option<()> {
        let associated = header.encode();
        let (head, body) = record.split_first_chunk_mut::<SESSION_HEADER>()?;
        let (plaintext, tag) = body.split_last_chunk_mut::<TAG>()?;
        *head = associated;
        let made = self.0.seal_in_place_separate_tag(nonce(header.counter), Aad::from(associated), plaintext).ok()?;
        tag.copy_from_slice(made.as_ref());
        Some(())
    }

    /// Opens in place and returns the plaintext, which lies behind the header.
    pub fn open<'a>(&self, counter: u64, record: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (head, body) = record.split_first_chunk_mut::<SESSION_HEADER>()?;
        self.0.open_in_place(nonce(counter), Aad::from(&*head), body).ok()
    }
}

/// Four zero bytes and the counter.
fn nonce(counter: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = counter.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

/// What this processor does best, first: AES-128-GCM only with AES instructions (ring's own figures; ChaCha20 elsewhere).
pub fn preferred_ciphers() -> Vec<Cipher> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let aes = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let aes = false;
    if aes {
        vec![Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305]
    } else {
        vec![Cipher::ChaCha20Poly1305, Cipher::Aes128Gcm]
    }
}
