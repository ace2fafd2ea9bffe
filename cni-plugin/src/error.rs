//! What a plugin says when it fails (CNI specification 1.1.0, sections "Error" and "STATUS").

use std::fmt;

use serde_json::{json, Value};

use crate::version::Version;

/// 0 to 99 are the specification's, from 100 on they are ours (docs/cni.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    IncompatibleVersion = 1,
    UnsupportedField = 2,
    UnknownContainer = 3,
    InvalidEnvironment = 4,
    Io = 5,
    Decode = 6,
    InvalidConfig = 7,
    TryAgainLater = 11,
    NotAvailable = 50,
    LimitedConnectivity = 51,
    /// The kernel refused a link, an address, a route or a setting.
    Kernel = 100,
    /// CHECK: the attachment is not as ADD left it.
    NotAsAdded = 101,
    /// ADD: the pod has an interface of this name.
    InterfaceExists = 102,
}

impl Code {
    /// The short message; what happened in this case is in the details.
    fn message(self) -> &'static str {
        match self {
            Self::IncompatibleVersion => "incompatible CNI version",
            Self::UnsupportedField => "unsupported field in the network configuration",
            Self::UnknownContainer => "the container does not exist",
            Self::InvalidEnvironment => "invalid environment variables",
            Self::Io => "input or output failed",
            Self::Decode => "cannot decode the network configuration",
            Self::InvalidConfig => "invalid network configuration",
            Self::TryAgainLater => "try again later",
            Self::NotAvailable => "the network cannot take new pods",
            Self::LimitedConnectivity => "the network cannot take new pods, and those it has may be cut off",
            Self::Kernel => "the kernel refused a change",
            Self::NotAsAdded => "the attachment is not as ADD made it",
            Self::InterfaceExists => "the interface exists",
        }
    }
}

/// One failure, in the words of the person who reads `kubectl describe pod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    /// One line: what failed, with what, what to do.
    pub details: String,
}

impl Error {
    pub fn new(code: Code, details: impl Into<String>) -> Self {
        Self { code, details: details.into() }
    }

    /// A file or directory that does not do what it should.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Code::Io, format!("cannot {what} {}: {error}", path.display()))
    }

    /// The object that goes to standard output.
    pub fn json(&self, version: Version) -> Value {
        // Runtimes show `msg` in events and often nothing else, so it carries the details too.
        json!({
            "cniVersion": version.text(),
            "code": self.code as u32,
            "msg": format!("{}: {}", self.code.message(), self.details),
            "details": self.details,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} (code {})", self.code.message(), self.details, self.code as u32)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_carries_the_version_in_use_and_what_happened() {
        let error = Error::new(Code::InvalidConfig, "\"mtu\" is 12").json(Version::V0_4_0);
        assert_eq!(error["cniVersion"], "0.4.0");
        assert_eq!(error["code"], 7);
        assert_eq!(error["msg"], "invalid network configuration: \"mtu\" is 12");
        assert_eq!(error["details"], "\"mtu\" is 12");
    }
}
