use proptest::prelude::*;
use serde_json::json;

use super::*;

fn config(changes: Value) -> Result<Network, Error> {
    let mut base = json!({
        "cniVersion": "1.1.0",
        "name": "evio",
        "type": "evio-cni",
        "subnets": ["10.244.3.0/24", "fd00:10:244:3::/64"],
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    Config::parse(base.to_string().as_bytes())?.network()
}

fn refused(changes: Value) -> (Code, String) {
    let error = config(changes.clone()).map(|_| ()).expect_err(&changes.to_string());
    (error.code, error.details)
}

#[test]
fn subnets_are_enough_for_a_network() {
    let network = config(json!({})).unwrap();
    assert_eq!((network.mode, network.mtu, network.bridge.as_str()), (Mode::Routed, 1400, "evio0"));
    assert_eq!(network.subnets.len(), 2);
    assert_eq!(network.subnets[0].node, None);
    let parsed = Config::parse(br#"{"cniVersion":"1.0.0","name":"evio"}"#).unwrap();
    assert_eq!(parsed.data_dir, PathBuf::from("/var/lib/cni/evio"));
}

#[test]
fn gateways_and_pod_cidrs_go_to_the_subnet_of_their_family() {
    let network = config(json!({
        "attachment": "Flat",
        "gateways": ["fd45::4", "10.45.0.4"],
        "podCIDRs": ["10.244.0.0/16", "fd00:10:244::/48"],
    }))
    .unwrap();
    assert_eq!(network.mode, Mode::Flat);
    assert_eq!(network.subnets[0].node, Some([10, 45, 0, 4].into()));
    assert_eq!(network.subnets[1].pods.unwrap().to_string(), "fd00:10:244::/48");
}

#[test]
fn every_wrong_value_is_refused_with_its_key_and_value() {
    let table = [
        (json!({ "name": 7 }), Code::InvalidConfig, "\"name\" is 7"),
        (json!({ "name": "../x" }), Code::InvalidConfig, "\"name\" is \"../x\""),
        (json!({ "cniVersion": 1 }), Code::Decode, "\"cniVersion\" is 1"),
        (json!({ "cniVersion": "0.2.0" }), Code::IncompatibleVersion, "0.2.0"),
        (json!({ "attachment": "bridged" }), Code::InvalidConfig, "\"bridged\""),
        (json!({ "bridge": "a/b" }), Code::InvalidConfig, "\"a/b\""),
        (json!({ "mtu": 1200 }), Code::InvalidConfig, "1200"),
        (json!({ "mtu": "1400" }), Code::InvalidConfig, "\"mtu\""),
        (json!({ "subnets": [] }), Code::InvalidConfig, "\"subnets\" is empty"),
        (json!({ "subnets": "10.0.0.0/8" }), Code::InvalidConfig, "a list"),
        (json!({ "subnets": ["10.0.0.0/24", "10.0.1.0/24"] }), Code::InvalidConfig, "more than one IPv4"),
        (json!({ "subnets": ["10.0.0.1/24"] }), Code::InvalidConfig, "10.0.0.0/24"),
        (json!({ "subnets": ["10.0.0.0/31"] }), Code::InvalidConfig, "10.0.0.0/31"),
        (json!({ "gateways": ["here"] }), Code::InvalidConfig, "\"here\""),
        (json!({ "attachment": "flat" }), Code::InvalidConfig, "\"podCIDRs\""),
        (json!({ "podCIDRs": ["10.1.0.0/16"] }), Code::InvalidConfig, "not within"),
        (json!({ "dataDir": "data" }), Code::InvalidConfig, "\"dataDir\""),
        (json!({ "dns": [] }), Code::InvalidConfig, "\"dns\""),
        (json!({ "ipam": { "type": "host-local" } }), Code::UnsupportedField, "host-local"),
        (json!({ "isGateway": true }), Code::UnsupportedField, "\"isGateway\" is true"),
        (json!({ "runtimeConfig": { "ips": ["10.9.0.1"] } }), Code::InvalidConfig, "10.9.0.1"),
        (json!({ "args": { "cni": { "ips": ["10.244.3.4", "10.244.3.5"] } } }), Code::InvalidConfig, "more than one"),
    ];
    for (changes, code, words) in table {
        let (got, details) = refused(changes.clone());
        assert_eq!(got, code, "{changes}: {details}");
        assert!(details.contains(words), "{changes}: {details}");
    }
}

#[test]
fn what_runtimes_add_is_no_unknown_key() {
    let added = json!({
        "capabilities": { "ips": true },
        "runtimeConfig": { "ips": ["10.244.3.9/24"] },
        "args": { "cni": { "labels": [] }, "mine": 1 },
        "cni.dev/valid-attachments": [],
        "example.org/x": 1,
        "prevResult": null,
        "ipam": {},
        "dns": { "nameservers": ["10.96.0.10"] },
    });
    let network = config(added).unwrap();
    assert_eq!(network.subnets[0].requested, Some([10, 244, 3, 9].into()));
    assert_eq!(network.dns, Some(json!({ "nameservers": ["10.96.0.10"] })));
}

#[test]
fn garbage_is_a_decoding_failure() {
    for text in ["", "{", "[]", "7", "\u{0}", "{\"name\":"] {
        assert_eq!(Config::parse(text.as_bytes()).map(|_| ()).unwrap_err().code, Code::Decode, "{text:?}");
    }
}

#[test]
fn gc_is_told_what_stays_or_nothing_of_it() {
    let valid = |extra: Value| {
        let mut base = json!({ "cniVersion": "1.1.0", "name": "evio" });
        base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Config::parse(base.to_string().as_bytes()).unwrap().valid_attachments()
    };
    let pair = json!([{ "containerID": "a", "ifname": "eth0" }]);
    let expected = vec![Attachment { container_id: "a".into(), ifname: "eth0".into() }];
    assert_eq!(valid(json!({ "cni.dev/valid-attachments": pair })), Ok(Some(expected.clone())));
    assert_eq!(valid(json!({ "cni.dev/attachments": pair })), Ok(Some(expected)));
    assert_eq!(valid(json!({ "cni.dev/valid-attachments": null })), Ok(Some(vec![])));
    assert_eq!(valid(json!({})), Ok(None));
    for wrong in [json!({ "cni.dev/valid-attachments": {} }), json!({ "cni.dev/valid-attachments": [{}] })] {
        assert_eq!(valid(wrong).unwrap_err().code, Code::InvalidConfig);
    }
}

#[test]
fn our_part_of_a_list_is_found_by_its_type() {
    let list = json!({
        "cniVersion": "1.0.0", "name": "evio",
        "plugins": [{ "type": "portmap" }, { "type": "evio-cni", "subnets": ["10.1.0.0/24"] }],
    });
    let config = Config::from_list(list.to_string().as_bytes(), "evio-cni").unwrap();
    assert_eq!(config.network().unwrap().subnets[0].cidr.to_string(), "10.1.0.0/24");
    assert!(Config::from_list(b"{}", "evio-cni").is_err());
    assert!(Config::from_list(b"[", "evio-cni").is_err());
}

/// Any JSON, with our keys often enough to get past the first check.
fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof![Just("10.244.3.0/24"), Just("fd00::/64"), Just("1.1.0"), Just("flat"), Just("evio")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 6, |inner| {
        let key = prop_oneof![
            prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
            Just("ips".to_owned()),
            Just("cni".to_owned()),
            Just("cni.dev/valid-attachments".to_owned()),
            "\\PC{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes: Vec<u8>) {
        let _ = Config::parse(&bytes);
        let _ = named_version(&bytes);
    }

    #[test]
    fn any_json_is_taken_or_refused(value in json_values(), name in any::<bool>()) {
        let mut value = value;
        if let (Value::Object(object), true) = (&mut value, name) {
            object.insert("cniVersion".into(), "1.1.0".into());
            object.insert("name".into(), "evio".into());
        }
        let text = value.to_string();
        let _ = Config::from_list(text.as_bytes(), "evio-cni");
        if let Ok(config) = Config::parse(text.as_bytes()) {
            let _ = (config.network(), config.valid_attachments(), config.prev_result());
        }
    }
}
