//! CNI_ARGS: `KEY=VALUE;KEY=VALUE` (CNI specification, "Parameters"; CONVENTIONS.md, "CNI_ARGS").

use std::net::IpAddr;

use crate::error::{Code, Error};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `namespace/name` of the pod, where the runtime tells.
    pub pod: Option<String>,
    /// The address the caller wants, from the key `IP`.
    pub address: Option<IpAddr>,
}

/// Keys runtimes of Kubernetes send; we keep the pod's name for those who look at the store.
const KUBERNETES: [&str; 4] = ["K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_UID", "K8S_POD_INFRA_CONTAINER_ID"];

pub fn parse(text: &str) -> Result<Args, Error> {
    let wrong = |details: String| Error::new(Code::InvalidEnvironment, format!("CNI_ARGS: {details}"));
    let (mut namespace, mut name, mut address) = (None, None, None);
    let mut unknown = vec![];
    let mut ignore_unknown = false;
    for pair in text.split(';').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong(format!("{pair:?} is no KEY=VALUE")))?;
        match key {
            "IgnoreUnknown" => {
                ignore_unknown = match value.to_ascii_lowercase().as_str() {
                    "1" | "true" => true,
                    "0" | "false" => false,
                    _ => return Err(wrong(format!("IgnoreUnknown is {value:?}, must be 1, true, 0 or false"))),
                }
            }
            "IP" => address = Some(requested(value).map_err(|details| wrong(format!("IP: {details}")))?),
            "K8S_POD_NAMESPACE" => namespace = Some(value),
            "K8S_POD_NAME" => name = Some(value),
            _ if KUBERNETES.contains(&key) => {}
            _ => unknown.push(key),
        }
    }
    if !unknown.is_empty() && !ignore_unknown {
        return Err(wrong(format!("unknown keys {} (IgnoreUnknown=1 lets them pass)", unknown.join(", "))));
    }
    let pod = namespace.zip(name).map(|(namespace, name)| format!("{namespace}/{name}"));
    Ok(Args { pod, address })
}

/// `ADDRESS` or `ADDRESS/PREFIX`; the prefix is the network's, so it is not looked at.
pub fn requested(text: &str) -> Result<IpAddr, String> {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse().map_err(|_| format!("{text:?} is no address"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pod_s_name_is_kept_and_the_rest_of_kubernetes_keys_pass() {
        let args =
            parse("K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=1;K8S_POD_INFRA_CONTAINER_ID=abc").unwrap();
        assert_eq!(args.pod.as_deref(), Some("shop/web-0"));
        assert_eq!(parse("").unwrap(), Args::default());
    }

    #[test]
    fn unknown_keys_need_ignore_unknown_wherever_it_stands() {
        assert!(parse("FOO=BAR;IgnoreUnknown=1").is_ok());
        assert!(parse("IgnoreUnknown=true;FOO=BAR;").is_ok());
        for text in ["FOO=BAR", "FOO=BAR;IgnoreUnknown=0", "IgnoreUnknown=maybe", "FOO"] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code, Code::InvalidEnvironment);
            assert!(error.details.contains("CNI_ARGS"), "{error}");
        }
    }

    #[test]
    fn an_address_may_carry_a_prefix() {
        assert_eq!(parse("IP=10.1.2.3/24").unwrap().address, Some([10, 1, 2, 3].into()));
        assert_eq!(parse("IP=fd00::7").unwrap().address, Some("fd00::7".parse().unwrap()));
        assert!(parse("IP=10.1.2").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
