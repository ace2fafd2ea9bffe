//! The verbs, and what all of them share: who says what on standard output.

mod add;
mod check;
mod del;
mod gc;
mod release;
mod status;
mod sweep;
mod wire;

use std::io::{Read, Write};

use serde_json::{json, Value};

use crate::args;
use crate::config::{named_version, Config};
use crate::error::{Code, Error};
use crate::request::{self, Attachment, Request, Verb};
use crate::version::Version;

pub use sweep::{sweep_list, Swept};

/// The name a configuration calls the plugin by, and its file's.
pub const PLUGIN: &str = "evio-cni";

/// What a runtime calls: variables and standard input in, one JSON object or nothing out. True on success.
pub fn run(variable: impl Fn(&str) -> Option<String>, input: &mut impl Read, output: &mut impl Write) -> bool {
    let mut bytes = vec![];
    match answer(variable, input, &mut bytes, output) {
        Ok(()) => true,
        Err(error) => {
            // The version the caller speaks, where it can be told.
            let version = named_version(&bytes).and_then(|text| Version::of(Some(&text)).ok());
            let _ = say(output, &error.json(version.unwrap_or(Version::NEWEST)));
            false
        }
    }
}

fn answer(
    variable: impl Fn(&str) -> Option<String>,
    input: &mut impl Read,
    bytes: &mut Vec<u8>,
    output: &mut impl Write,
) -> Result<(), Error> {
    let request = request::parse(variable)?;
    let read = input.read_to_end(bytes);
    if request == Request::Version {
        // What is wrong with the input does not matter here: this is how callers find out what we speak.
        return say(output, &versions(named_version(bytes)));
    }
    read.map_err(|error| Error::new(Code::Io, format!("cannot read the configuration from standard input: {error}")))?;
    let config = Config::parse(bytes)?;
    match request {
        Request::Version => Ok(()),
        Request::Network(verb) => {
            config.version.allows(verb)?;
            if verb == Verb::Gc {
                gc::gc(&config)
            } else {
                status::status(&config)
            }
        }
        Request::Pod { verb, attachment, netns, args, same_netns_allowed } => {
            config.version.allows(verb)?;
            if verb == Verb::Del {
                return del::del(&config, &attachment);
            }
            let args = args::parse(&args)?;
            let pod = Pod { attachment, netns: netns.unwrap_or_default(), args, same_netns_allowed };
            if verb == Verb::Add {
                add::add(&config, &pod, output)
            } else {
                check::check(&config, &pod)
            }
        }
    }
}

/// Whom ADD and CHECK are about.
struct Pod {
    attachment: Attachment,
    netns: String,
    args: args::Args,
    same_netns_allowed: bool,
}

fn versions(named: Option<String>) -> Value {
    let version = named.unwrap_or_else(|| Version::NEWEST.text().to_owned());
    json!({ "cniVersion": version, "supportedVersions": Version::ALL.map(Version::text) })
}

fn say(output: &mut impl Write, value: &Value) -> Result<(), Error> {
    let failed = |error| Error::new(Code::Io, format!("cannot write the result to standard output: {error}"));
    output.write_all(format!("{value}\n").as_bytes()).and_then(|()| output.flush()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)], input: &str) -> (bool, Value) {
        let variable = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let mut output = vec![];
        let ok = run(variable, &mut input.as_bytes(), &mut output);
        (ok, serde_json::from_slice(&output).unwrap())
    }

    #[test]
    fn version_says_what_we_speak_whatever_the_input() {
        for (input, version) in [("{\"cniVersion\":\"0.4.0\"}", "0.4.0"), ("", "1.1.0"), ("rubbish", "1.1.0")] {
            let (ok, said) = said(&[("CNI_COMMAND", "VERSION")], input);
            assert!(ok);
            assert_eq!(said["cniVersion"], version);
            assert_eq!(said["supportedVersions"], json!(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
        }
    }

    #[test]
    fn failures_are_objects_with_the_caller_s_version() {
        let (ok, error) = said(&[("CNI_COMMAND", "STATUS")], "{\"cniVersion\":\"1.0.0\",\"name\":\"evio\"}");
        assert!(!ok);
        assert_eq!((&error["code"], &error["cniVersion"]), (&json!(1), &json!("1.0.0")));
        let (ok, error) = said(&[("CNI_COMMAND", "GC")], "{");
        assert!(!ok);
        assert_eq!((&error["code"], &error["cniVersion"]), (&json!(6), &json!("1.1.0")));
        let (ok, error) = said(&[], "");
        assert!(!ok);
        assert_eq!(error["code"], 4);
    }
}
