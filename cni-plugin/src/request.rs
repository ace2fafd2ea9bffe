//! What the runtime asks for, from the environment (CNI specification, section 2, "Parameters").

use crate::error::{Code, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Add,
    Del,
    Check,
    Status,
    Gc,
}

impl Verb {
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::Gc => "GC",
        }
    }
}

/// Whom it is about: one interface of one container. The pair is unique within a network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attachment {
    pub container_id: String,
    pub ifname: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Supported versions; needs no configuration.
    Version,
    /// STATUS or GC: about the whole network.
    Network(Verb),
    /// ADD, DEL or CHECK; only DEL goes without a namespace.
    Pod { verb: Verb, attachment: Attachment, netns: Option<String>, args: String, same_netns_allowed: bool },
}

/// Reads the CNI_* variables through `variable`; one that is empty counts as missing.
pub fn parse(variable: impl Fn(&str) -> Option<String>) -> Result<Request, Error> {
    let get = |name: &str| variable(name).filter(|value| !value.is_empty());
    let command = get("CNI_COMMAND").ok_or_else(|| invalid("CNI_COMMAND is missing"))?;
    let verb = match command.as_str() {
        "VERSION" => return Ok(Request::Version),
        "STATUS" => return Ok(Request::Network(Verb::Status)),
        "GC" => return Ok(Request::Network(Verb::Gc)),
        "ADD" => Verb::Add,
        "DEL" => Verb::Del,
        "CHECK" => Verb::Check,
        other => {
            return Err(invalid(&format!("CNI_COMMAND is {other:?}, must be ADD, DEL, CHECK, STATUS, GC or VERSION")))
        }
    };
    let (id, ifname, netns) = (get("CNI_CONTAINERID"), get("CNI_IFNAME"), get("CNI_NETNS"));
    let needs_netns = verb != Verb::Del;
    let missing: Vec<&str> = [
        ("CNI_CONTAINERID", id.is_none()),
        ("CNI_IFNAME", ifname.is_none()),
        ("CNI_NETNS", needs_netns && netns.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, is_missing)| is_missing.then_some(name))
    .collect();
    let (Some(container_id), Some(ifname), true) = (id, ifname, missing.is_empty()) else {
        return Err(invalid(&format!("{} {} missing", missing.join(", "), are(missing.len()))));
    };
    if !is_identifier(&container_id) {
        return Err(invalid(&format!(
            "CNI_CONTAINERID is {container_id:?}: it must start with a letter or digit and go on with letters, digits, '_', '.' and '-'"
        )));
    }
    if !is_interface_name(&ifname) {
        return Err(invalid(&format!(
            "CNI_IFNAME is {ifname:?}: an interface name has 1 to 15 bytes, no '/', ':' or space, and is not '.' or '..'"
        )));
    }
    let same_netns_allowed =
        get("CNI_NETNS_OVERRIDE").is_some_and(|value| matches!(value.to_uppercase().as_str(), "1" | "TRUE"));
    let attachment = Attachment { container_id, ifname };
    Ok(Request::Pod { verb, attachment, netns, args: get("CNI_ARGS").unwrap_or_default(), same_netns_allowed })
}

fn are(count: usize) -> &'static str {
    if count == 1 {
        "is"
    } else {
        "are"
    }
}

fn invalid(details: &str) -> Error {
    Error::new(Code::InvalidEnvironment, details)
}

/// Of containers and networks alike; such a name is also the name of a file.
pub fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && text.len() <= 255
}

/// `dev_valid_name` of the kernel (net/core/dev.c), with ':' as the specification has it.
pub fn is_interface_name(text: &str) -> bool {
    (1..16).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Request, Error> {
        parse(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    const POD: [(&str, &str); 3] = [("CNI_CONTAINERID", "a1"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/run/netns/x")];

    fn pod(verb: &'static str, without: &str) -> Result<Request, Error> {
        let mut pairs = vec![("CNI_COMMAND", verb)];
        pairs.extend(POD.into_iter().filter(|(name, _)| *name != without));
        with(&pairs)
    }

    #[test]
    fn every_verb_names_what_it_misses() {
        for verb in ["ADD", "DEL", "CHECK"] {
            assert!(matches!(pod(verb, ""), Ok(Request::Pod { .. })), "{verb}");
            for (name, _) in POD {
                if verb == "DEL" && name == "CNI_NETNS" {
                    assert!(matches!(pod(verb, name), Ok(Request::Pod { netns: None, .. })));
                    continue;
                }
                let error = pod(verb, name).unwrap_err();
                assert_eq!(
                    (error.code, error.details),
                    (Code::InvalidEnvironment, format!("{name} is missing")),
                    "{verb}"
                );
            }
        }
        assert_eq!(with(&[("CNI_COMMAND", "VERSION")]), Ok(Request::Version));
        assert_eq!(with(&[("CNI_COMMAND", "STATUS")]), Ok(Request::Network(Verb::Status)));
        assert_eq!(with(&[("CNI_COMMAND", "GC")]), Ok(Request::Network(Verb::Gc)));
        let all = with(&[("CNI_COMMAND", "ADD"), ("CNI_IFNAME", "")]).unwrap_err().details;
        assert_eq!(all, "CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS are missing");
        for command in [&[][..], &[("CNI_COMMAND", "")], &[("CNI_COMMAND", "UPDATE")]] {
            let error = with(command).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert!(error.details.contains("CNI_COMMAND"));
        }
    }

    #[test]
    fn names_that_are_none_are_refused_with_the_variable_s_name() {
        for (name, value) in [
            ("CNI_CONTAINERID", "../../etc"),
            ("CNI_CONTAINERID", "-a"),
            ("CNI_CONTAINERID", "a b"),
            ("CNI_IFNAME", ".."),
            ("CNI_IFNAME", "sixteen-bytes-xx"),
            ("CNI_IFNAME", "a/b"),
            ("CNI_IFNAME", "a:b"),
        ] {
            let mut pairs = vec![("CNI_COMMAND", "DEL"), (name, value)];
            pairs.extend(POD.into_iter().filter(|(other, _)| *other != name));
            let error = with(&pairs).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment, "{value}");
            assert!(error.details.contains(name), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_as_a_name_is_safe_as_a_file_name(text in "\\PC*") {
            if is_identifier(&text) || is_interface_name(&text) {
                prop_assert!(!text.contains('/') && text != "." && text != ".." && !text.contains('\0'));
            }
        }
    }
}
