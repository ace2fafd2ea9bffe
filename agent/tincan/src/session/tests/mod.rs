//! Sessions that talk to one another in simulated time.

mod handshake;
mod hostile;
mod lifetime;
mod members;
mod world;
