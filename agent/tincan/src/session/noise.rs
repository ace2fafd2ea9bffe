//! Noise_IK_25519_ChaChaPoly_SHA256 (Noise revision 34) by the crate snow, with our prologue and our randomness.

use snow::params::{CipherChoice, DHChoice, HashChoice, NoiseParams};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use crate::wire::OverlayId;

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";
/// Noise's own bytes around a payload: e, s with tag, tag.
const NOISE_OVERHEAD: usize = 32 + 48 + 16;

/// The default primitives, but the ephemeral key is the one drawn for this handshake.
struct Resolver {
    ephemeral: [u8; 32],
}

/// Gives its bytes once: a handshake draws one ephemeral key and nothing else.
struct Drawn(Option<[u8; 32]>);

impl Random for Drawn {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(bytes) if bytes.len() == out.len() => {
                out.copy_from_slice(&bytes);
                Ok(())
            }
            _ => Err(snow::Error::Rng),
        }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Drawn(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// X25519 public key of a private one.
pub fn public_key(private: &[u8; 32]) -> Option<[u8; 32]> {
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519)?;
    dh.set(private);
    dh.pubkey().try_into().ok()
}

/// What every handshake of this node shares.
pub struct Noise {
    private: [u8; 32],
    prologue: Vec<u8>,
}

/// Noise's split: k1 for records from the initiator, k2 for the other direction.
pub struct Split {
    pub k1: [u8; 32],
    pub k2: [u8; 32],
}

/// We sent message 1.
pub struct Initiator(Box<HandshakeState>);

/// We read message 1.
pub struct Responder(Box<HandshakeState>);

impl Noise {
    pub fn new(private: [u8; 32], overlay: OverlayId) -> Self {
        Noise { private, prologue: [&b"evio/1"[..], &overlay.0].concat() }
    }

    fn builder(&self, ephemeral: [u8; 32]) -> Option<Builder<'_>> {
        let pattern: NoiseParams = PATTERN.parse().ok()?;
        Builder::with_resolver(pattern, Box::new(Resolver { ephemeral }))
            .prologue(&self.prologue)
            .ok()?
            .local_private_key(&self.private)
            .ok()
    }

    /// Message 1 for the owner of this session key.
    pub fn initiate(&self, peer: &[u8; 32], ephemeral: [u8; 32], payload: &[u8]) -> Option<(Initiator, Vec<u8>)> {
        let mut state = self.builder(ephemeral)?.remote_public_key(peer).ok()?.build_initiator().ok()?;
        let message = write(&mut state, payload)?;
        Some((Initiator(Box::new(state)), message))
    }

    /// Reads message 1: the initiator's static key and its payload.
    pub fn read_initiation(&self, ephemeral: [u8; 32], message: &[u8]) -> Option<(Responder, [u8; 32], Vec<u8>)> {
        let mut state = self.builder(ephemeral)?.build_responder().ok()?;
        let payload = read(&mut state, message)?;
        let remote = state.get_remote_static()?.try_into().ok()?;
        Some((Responder(Box::new(state)), remote, payload))
    }
}

impl Responder {
    /// Message 2, and the keys.
    pub fn respond(mut self, payload: &[u8]) -> Option<(Vec<u8>, Split)> {
        let message = write(&mut self.0, payload)?;
        Some((message, split(&mut self.0)))
    }
}

impl Initiator {
    /// Reads message 2; a forged one leaves the handshake as it was.
    pub fn read_response(&mut self, message: &[u8]) -> Option<(Vec<u8>, Split)> {
        let payload = read(&mut self.0, message)?;
        Some((payload, split(&mut self.0)))
    }
}

fn write(state: &mut HandshakeState, payload: &[u8]) -> Option<Vec<u8>> {
    let mut message = vec![0; payload.len() + NOISE_OVERHEAD];
    let length = state.write_message(payload, &mut message).ok()?;
    message.truncate(length);
    Some(message)
}

fn read(state: &mut HandshakeState, message: &[u8]) -> Option<Vec<u8>> {
    let mut payload = vec![0; message.len()];
    let length = state.read_message(message, &mut payload).ok()?;
    payload.truncate(length);
    Some(payload)
}

fn split(state: &mut HandshakeState) -> Split {
    let (k1, k2) = state.dangerously_get_raw_split();
    Split { k1, k2 }
}
