//! The control socket's language (docs/wire.md §10.1): one JSON object a line. Pure: bytes in, typed requests out.

mod lines;
mod params;

pub use lines::{Lines, LINE_MAX};
pub use params::*;

use serde_json::{json, Value};

/// Why a request was refused. The code is for programs, the message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub message: String,
}

impl Failure {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: "bad-request", message: message.into() }
    }

    pub fn not_configured() -> Self {
        Self { code: "not-configured", message: "this tincan has no identity yet: call configure".into() }
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self { code: "conflict", message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: "not-found", message: message.into() }
    }

    pub fn system(message: impl Into<String>) -> Self {
        Self { code: "system", message: message.into() }
    }
}

pub type Id = u64;

/// A request line. The id is known even where the rest is refused, if it can be read at all.
pub fn parse(line: &[u8]) -> Result<(Id, Method), (Option<Id>, Failure)> {
    let value: Value =
        serde_json::from_slice(line).map_err(|e| (None, Failure::bad_request(format!("not JSON: {e}"))))?;
    let Value::Object(mut object) = value else {
        return Err((None, Failure::bad_request("a request is an object")));
    };
    let id = object.remove("id").and_then(|id| id.as_u64());
    let refuse = |message: String| (id, Failure::bad_request(message));
    let method = object.remove("method");
    let params = object.remove("params").unwrap_or_else(|| json!({}));
    if let Some(key) = object.keys().next() {
        return Err(refuse(format!("unknown key {key:?}")));
    }
    let known = id.ok_or_else(|| refuse("id must be a number".into()))?;
    let Some(Value::String(method)) = method else { return Err(refuse("method must be a string".into())) };
    let method = Method::parse(&method, params).map_err(refuse)?;
    Ok((known, method))
}

pub fn answer(id: Option<Id>, result: Result<Value, Failure>) -> Vec<u8> {
    let body = match result {
        Ok(result) => json!({ "id": id, "result": result }),
        Err(failure) => json!({ "id": id, "error": { "code": failure.code, "message": failure.message } }),
    };
    line(&body)
}

pub fn event(name: &str, data: &Value) -> Vec<u8> {
    line(&json!({ "event": name, "data": data }))
}

fn line(value: &Value) -> Vec<u8> {
    let mut out = value.to_string().into_bytes();
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> (Option<Id>, &'static str) {
        match parse(line.as_bytes()) {
            Ok((id, _)) => (Some(id), "ok"),
            Err((id, failure)) => (id, failure.code),
        }
    }

    #[test]
    fn requests_are_read() {
        let (id, method) = parse(
            br#"{"id":7,"method":"tunnel-note","params":{"peer":"00112233445566778899aabbccddeeff","note":"x"}}"#,
        )
        .unwrap();
        assert_eq!(id, 7);
        let Method::TunnelNote(note) = method else { panic!("{method:?}") };
        assert_eq!((note.peer.to_string().as_str(), note.note.as_str()), ("00112233445566778899aabbccddeeff", "x"));
        let renew = br#"{"id":8,"method":"renew","params":{"peer":"00112233445566778899aabbccddeeff"}}"#;
        assert!(matches!(parse(renew), Ok((8, Method::Renew(_)))));
        assert_eq!(code(r#"{"id":1,"method":"tunnels","params":{}}"#), (Some(1), "ok"));
        assert_eq!(code(r#"{"id":1,"method":"tunnels"}"#), (Some(1), "ok"));
    }

    #[test]
    fn whatever_is_not_a_request_is_a_bad_request() {
        for line in [
            "",
            "{",
            "[]",
            "3",
            r#"{"method":"tunnels"}"#,
            r#"{"id":"1","method":"tunnels"}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"method":"no-such-method"}"#,
            r#"{"id":1,"method":"tunnels","params":{"extra":1}}"#,
            r#"{"id":1,"method":"tunnels","extra":1}"#,
            r#"{"id":1,"method":"tunnel-note","params":{"peer":"xy","note":""}}"#,
            r#"{"id":1,"method":"renew"}"#,
            r#"{"id":1,"method":"renew","params":{"peer":"xy"}}"#,
            r#"{"id":1,"method":"tunnel-note","params":{"peer":"00112233445566778899aabbccddeeff"}}"#,
            r#"{"id":1,"method":"tunnel-candidates","params":{"peer":"00112233445566778899aabbccddeeff","candidates":["nowhere"]}}"#,
            r#"{"id":1,"method":"configure","params":{}}"#,
        ] {
            assert_eq!(code(line).1, "bad-request", "{line}");
        }
    }

    fn configured(more: &str) -> Result<Configure, String> {
        let line = format!(
            r#"{{"id":1,"method":"configure","params":{{"sessionKey":"","certificate":"","parameters":"","bridge":{{"name":"evio0","tap":"evio0-tap"}},"udp":{{"port":0}},"stun":[]{more}}}}}"#
        );
        match parse(line.as_bytes()) {
            Ok((_, Method::Configure(configure))) => Ok(*configure),
            Ok((_, method)) => panic!("{method:?}"),
            Err((_, failure)) => Err(failure.message),
        }
    }

    #[test]
    fn excluded_interfaces_are_names_and_an_older_agent_names_none() {
        let configure = |more: &str| configured(more).map(|configure| configure.exclude_interfaces);
        assert_eq!(configure("").unwrap(), Vec::<String>::new());
        let names = configure(r#","excludeInterfaces":["docker0","flannel.1"]"#).unwrap();
        assert_eq!(names, ["docker0", "flannel.1"]);
        for wrong in ["", "sixteen-bytes-00", "a b", "a/b", "a:b", "a\\n"] {
            let message = configure(&format!(r#","excludeInterfaces":["eth0","{wrong}"]"#)).unwrap_err();
            assert!(message.contains("is no name of an interface: 1 to 15 bytes"), "{message}");
        }
        let many = vec![r#""eth0""#; 65].join(",");
        let message = configure(&format!(r#","excludeInterfaces":[{many}]"#)).unwrap_err();
        assert!(message.contains("excludeInterfaces has 65 names, 64 are allowed"), "{message}");
    }

    #[test]
    fn excluded_routes_are_networks_and_an_older_agent_names_none() {
        let parsed = |more: &str| configured(more).map(|configure| configure.exclude_routes);
        assert!(parsed("").unwrap().is_empty());
        let networks = parsed(r#","excludeRoutes":["10.96.0.0/12","fd00:96::/112"]"#).unwrap();
        assert_eq!(networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.96.0.0/12", "fd00:96::/112"]);
        for wrong in ["", "10.96.0.1/12", "10.96.0.0", "services"] {
            let message = parsed(&format!(r#","excludeRoutes":["{wrong}"]"#)).unwrap_err();
            assert!(message.contains("is no network like 10.96.0.0/12"), "{message}");
        }
        let many = vec![r#""10.96.0.0/12""#; 17].join(",");
        let message = parsed(&format!(r#","excludeRoutes":[{many}]"#)).unwrap_err();
        assert!(message.contains("excludeRoutes has 17 prefixes, 16 are allowed"), "{message}");
    }

    #[test]
    fn a_refusal_carries_the_id_where_there_is_one() {
        assert_eq!(code(r#"{"id":9,"method":"no-such-method"}"#).0, Some(9));
        let line = answer(None, Err(Failure::bad_request("no")));
        assert_eq!(line, b"{\"error\":{\"code\":\"bad-request\",\"message\":\"no\"},\"id\":null}\n");
    }
}
