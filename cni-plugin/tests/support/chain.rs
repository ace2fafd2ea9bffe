//! A runtime's part of the protocol, as libcni does it: a list of plugins called one after the other (CNI specification, section 3).

use std::path::Path;

use serde_json::{json, Map, Value};

use super::{answer, merged, plugin, Answer, Node, Pod};

/// Where Debian's package containernetworking-plugins puts them.
pub const PLUGINS: &str = "/usr/lib/cni";

pub struct Chain<'a> {
    pub node: &'a Node,
    pub version: &'a str,
    pub plugins: Vec<Value>,
    /// What the runtime has to say, by capability.
    pub capabilities: Value,
}

impl Chain<'_> {
    /// Each plugin gets the result of the one before; the last one's is the result.
    pub fn add(&self, pod: &Pod) -> Result<Value, Answer> {
        let mut previous = Value::Null;
        for config in &self.plugins {
            let said = self.call("ADD", pod, config, &previous);
            if !said.ok {
                return Err(said);
            }
            previous = said.said;
        }
        Ok(previous)
    }

    /// In the same order, with the final result; one plugin is left out.
    pub fn check_but(&self, left_out: &str, pod: &Pod, result: &Value) -> Result<(), Answer> {
        self.all(self.plugins.iter().filter(|config| config["type"] != left_out), "CHECK", pod, result)
    }

    /// In the opposite order, with the final result.
    pub fn del(&self, pod: &Pod, result: &Value) -> Result<(), Answer> {
        self.all(self.plugins.iter().rev(), "DEL", pod, result)
    }

    fn all<'b>(
        &self,
        plugins: impl Iterator<Item = &'b Value>,
        verb: &str,
        pod: &Pod,
        result: &Value,
    ) -> Result<(), Answer> {
        for config in plugins {
            let said = self.call(verb, pod, config, result);
            if !said.ok {
                return Err(said);
            }
        }
        Ok(())
    }

    fn call(&self, verb: &str, pod: &Pod, config: &Value, previous: &Value) -> Answer {
        let mut config = merged(config.clone(), &json!({ "cniVersion": self.version, "name": "evio" }));
        let object = config.as_object_mut().unwrap();
        if let Some(Value::Object(asked)) = object.remove("capabilities") {
            let given: Map<String, Value> = self.capabilities.as_object().cloned().unwrap_or_default();
            let runtime: Map<String, Value> =
                given.into_iter().filter(|(key, _)| asked.get(key) == Some(&Value::Bool(true))).collect();
            if !runtime.is_empty() {
                object.insert("runtimeConfig".into(), Value::Object(runtime));
            }
        }
        if !previous.is_null() {
            object.insert("prevResult".into(), previous.clone());
        }
        let kind = config["type"].as_str().unwrap();
        let program = if kind == "evio-cni" { plugin() } else { Path::new(PLUGINS).join(kind) };
        let path = pod.ns.path();
        let variables = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", &pod.id),
            ("CNI_NETNS", &path),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", PLUGINS),
        ];
        answer(self.node.spawn(&program, &variables, &config))
    }
}
