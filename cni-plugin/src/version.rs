//! Versions of the CNI specification, and what each of them has.

use crate::error::{Code, Error};
use crate::request::Verb;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    pub const ALL: [Self; 4] = [Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];
    pub const NEWEST: Self = Self::V1_1_0;

    pub fn text(self) -> &'static str {
        match self {
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version a configuration names; one that names none is of 0.1.0, as the reference library has it.
    pub fn of(named: Option<&str>) -> Result<Self, Error> {
        let text = named.unwrap_or("0.1.0");
        Self::ALL.into_iter().find(|version| version.text() == text).ok_or_else(|| {
            let supported = Self::ALL.map(Self::text).join(", ");
            Error::new(
                Code::IncompatibleVersion,
                format!("the configuration is of CNI {text:?}, supported: {supported}"),
            )
        })
    }

    /// Whether the version has the verb: CHECK came with 0.4.0, STATUS and GC with 1.1.0.
    pub fn allows(self, verb: Verb) -> Result<(), Error> {
        let since = match verb {
            Verb::Add | Verb::Del => Self::V0_3_1,
            Verb::Check => Self::V0_4_0,
            Verb::Status | Verb::Gc => Self::V1_1_0,
        };
        if self >= since {
            return Ok(());
        }
        let details = format!("CNI {} has no {}, it came with {}", self.text(), verb.text(), since.text());
        Err(Error::new(Code::IncompatibleVersion, details))
    }

    /// Up to 0.4.0 each address of a result says of which family it is.
    pub fn names_families(self) -> bool {
        self <= Self::V0_4_0
    }

    /// Since 1.1.0 each interface of a result may say its MTU.
    pub fn has_mtu(self) -> bool {
        self >= Self::V1_1_0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_exact_text() {
        for version in Version::ALL {
            assert_eq!(Version::of(Some(version.text())), Ok(version));
        }
        for other in ["", "0.3.0", "1.0", "1.1.0 ", "1.2.0", "v1.0.0"] {
            assert_eq!(Version::of(Some(other)).unwrap_err().code, Code::IncompatibleVersion, "{other}");
        }
        assert_eq!(Version::of(None).unwrap_err().code, Code::IncompatibleVersion);
    }

    #[test]
    fn verbs_come_with_the_versions_that_brought_them() {
        let table = [
            (Verb::Add, [true, true, true, true]),
            (Verb::Del, [true, true, true, true]),
            (Verb::Check, [false, true, true, true]),
            (Verb::Status, [false, false, false, true]),
            (Verb::Gc, [false, false, false, true]),
        ];
        for (verb, allowed) in table {
            assert_eq!(Version::ALL.map(|version| version.allows(verb).is_ok()), allowed, "{}", verb.text());
        }
    }
}
