use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::names::Names;
use crate::request::Attachment;

/// A store of its own in a directory that goes with it.
struct Home {
    dir: PathBuf,
    subnets: Vec<&'static str>,
}

static HOMES: AtomicU32 = AtomicU32::new(0);

impl Home {
    fn new(subnets: &[&'static str]) -> Self {
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("evio-cni-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("boot"), "boot-1\n").unwrap();
        Self { dir, subnets: subnets.to_vec() }
    }

    fn config(&self) -> Config {
        let config = json!({
            "cniVersion": "1.1.0", "name": "evio", "subnets": self.subnets,
            "dataDir": self.dir.join("data"), "bootIDFile": self.dir.join("boot"),
        });
        Config::parse(config.to_string().as_bytes()).unwrap()
    }

    fn store(&self) -> Store {
        Store::open(&self.config()).unwrap()
    }

    fn reboot(&self, id: &str) {
        fs::write(self.dir.join("boot"), id).unwrap();
    }

    fn reserve(&self, store: &Store, id: &str) -> Reserved {
        let network = self.config().network().unwrap();
        reserve(store, &network.subnets, id)
    }

    fn give(&self, store: &Store, id: &str) -> Vec<IpAddr> {
        match self.reserve(store, id) {
            Reserved::Done(reservation) => {
                reservation.finish(store).unwrap();
                reservation.record.addresses.clone()
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn attachment(id: &str) -> Attachment {
    Attachment { container_id: id.into(), ifname: "eth0".into() }
}

fn names(id: &str) -> Names {
    Names::of(&attachment(id))
}

fn reserve(store: &Store, subnets: &[Subnet], id: &str) -> Reserved {
    let record = |addresses| Record {
        container_id: id.into(),
        ifname: "eth0".into(),
        netns: "/run/netns/x".into(),
        host_interface: names(id).host(),
        mac: String::new(),
        boot_id: store.boot_id().into(),
        addresses,
        pod: None,
    };
    store.lock().unwrap().reserve(&names(id).key, subnets, record).unwrap()
}

fn free(store: &Store, id: &str) {
    let mut entry = store.find(&names(id).key).unwrap().unwrap();
    store.claim(&mut entry).unwrap();
    store.lock().unwrap().free(&entry).unwrap();
}

#[test]
fn addresses_go_round_and_are_not_given_again_at_once() {
    let home = Home::new(&["10.9.0.0/29", "fd09::/64"]);
    let store = home.store();
    let given: Vec<String> = (0..3).map(|n| home.give(&store, &n.to_string())[0].to_string()).collect();
    assert_eq!(given, ["10.9.0.2", "10.9.0.3", "10.9.0.4"]);
    free(&store, "0");
    assert_eq!(home.give(&store, "3")[0].to_string(), "10.9.0.5");
    assert_eq!(home.give(&store, "4"), ["10.9.0.6", "fd09::6"].map(|text| text.parse::<IpAddr>().unwrap()));
    assert_eq!(home.give(&store, "5")[0].to_string(), "10.9.0.2");
    assert!(matches!(home.reserve(&store, "6"), Reserved::Exhausted(cidr) if cidr.to_string() == "10.9.0.0/29"));
    // The IPv6 address of the one that failed was not given either.
    assert_eq!(store.used().unwrap().len(), 12 - 2);
}

#[test]
fn a_file_names_its_owner_under_the_address_and_under_the_key() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    home.give(&store, "a");
    let dir = home.dir.join("data/evio");
    let by_address = fs::read(dir.join("10.9.0.2")).unwrap();
    assert_eq!(by_address, fs::read(dir.join("attached").join(names("a").key)).unwrap());
    assert_eq!(Record::parse(&by_address).unwrap().container_id, "a");
    free(&store, "a");
    assert!(store.used().unwrap().is_empty() && store.keys().unwrap().is_empty());
}

#[test]
fn reservations_of_another_boot_are_void() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    for id in 0..5 {
        home.give(&store, &id.to_string());
    }
    assert!(matches!(home.reserve(&store, "late"), Reserved::Exhausted(_)));
    home.reboot("boot-2");
    let store = home.store();
    home.give(&store, "late");
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn a_boot_is_noted_when_nothing_of_an_earlier_one_is_left() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    assert!(store.is_new_boot());
    store.note_boot().unwrap();
    assert!(!store.is_new_boot());
    home.give(&store, "old");
    home.reboot("boot-2");
    let store = home.store();
    assert!(store.is_new_boot());
    store.note_boot().unwrap();
    assert!(store.is_new_boot(), "somebody is at work on what is left");
    free(&store, "old");
    home.give(&store, "new");
    store.note_boot().unwrap();
    assert!(!store.is_new_boot());
    // A write that was cut off.
    fs::write(home.dir.join("data/evio/boot"), "boot-").unwrap();
    assert!(store.is_new_boot());
}

#[test]
fn an_address_that_is_asked_for_is_given_or_said_to_be_taken() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    let mut subnets = home.config().network().unwrap().subnets;
    subnets[0].requested = Some([10, 9, 0, 5].into());
    let Reserved::Done(first) = reserve(&store, &subnets, "a") else { panic!("free") };
    assert!(matches!(reserve(&store, &subnets, "b"), Reserved::Taken(_)));
    store.lock().unwrap().give_back(&first).unwrap();
    assert!(matches!(reserve(&store, &subnets, "b"), Reserved::Done(_)));
    home.reboot("boot-2");
    let store = home.store();
    assert!(matches!(reserve(&store, &subnets, "c"), Reserved::Done(_)));
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn what_a_power_cut_left_of_files_is_no_reservation() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    let dir = home.dir.join("data/evio");
    for name in ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6", "new", "last/10.9.0.0_29"] {
        fs::write(dir.join(name), "").unwrap();
    }
    fs::hard_link(dir.join("10.9.0.2"), dir.join("attached").join(names("x").key)).unwrap();
    home.give(&store, "a");
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn a_record_at_work_is_not_claimed_by_another() {
    let home = Home::new(&["10.9.0.0/29"]);
    let store = home.store();
    let Reserved::Done(reservation) = home.reserve(&store, "a") else { panic!("free") };
    let mut entry = store.find(&names("a").key).unwrap().unwrap();
    assert!(!store.try_claim(&mut entry).unwrap() && !entry.finished);
    reservation.finish(&store).unwrap();
    drop(reservation);
    // Seen as unfinished before, it is finished by now.
    assert!(store.try_claim(&mut entry).unwrap() && entry.finished);
}

#[test]
fn a_hundred_threads_get_a_hundred_addresses() {
    let home = Home::new(&["10.9.0.0/24"]);
    let given: BTreeSet<IpAddr> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let home = &home;
                scope.spawn(move || home.give(&home.store(), &n.to_string())[0])
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(given.len(), 100);
}

#[derive(Debug, Clone)]
enum Step {
    Give(u8),
    Unfinished(u8),
    Free(u8),
    Strays,
    /// One name of a file goes, as a kill in the middle of unlinking leaves it.
    Cut(u8),
    Reboot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..12).prop_map(Step::Give),
        2 => (0u8..12).prop_map(Step::Unfinished),
        3 => (0u8..12).prop_map(Step::Free),
        1 => Just(Step::Strays),
        2 => (0u8..12).prop_map(Step::Cut),
        1 => Just(Step::Reboot),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_happens_no_address_has_two_owners_and_nothing_stays(steps in steps()) {
        let home = Home::new(&["10.9.0.0/29", "fd09::/125"]);
        let mut store = home.store();
        let mut boots = 0;
        for step in steps {
            match step {
                Step::Give(n) | Step::Unfinished(n) if store.find(&names(&n.to_string()).key).unwrap().is_none() => {
                    if let Reserved::Done(reservation) = home.reserve(&store, &n.to_string()) {
                        if matches!(step, Step::Give(_)) {
                            reservation.finish(&store).unwrap();
                        }
                    }
                }
                Step::Give(_) | Step::Unfinished(_) => {}
                Step::Free(n) => if store.find(&names(&n.to_string()).key).unwrap().is_some() { free(&store, &n.to_string()) },
                Step::Strays => drop(store.lock().unwrap().free_strays().unwrap()),
                Step::Cut(n) => {
                    // Addresses go before the record does, so only they can be missing.
                    let entry = store.find(&names(&n.to_string()).key).unwrap();
                    if let Some(address) = entry.and_then(|entry| entry.record?.addresses.first().copied()) {
                        let path = store.address_path(address);
                        if is_same(&path, &store.find(&names(&n.to_string()).key).unwrap().unwrap().file).unwrap() {
                            fs::remove_file(path).unwrap();
                        }
                    }
                }
                Step::Reboot => {
                    boots += 1;
                    home.reboot(&format!("boot-{boots}"));
                    store = home.store();
                }
            }
            let mut owners = BTreeSet::new();
            for key in store.keys().unwrap() {
                let entry = store.find(&key).unwrap().unwrap();
                for address in entry.record.as_ref().unwrap().addresses.iter() {
                    if is_same(&store.address_path(*address), &entry.file).unwrap() {
                        prop_assert!(owners.insert(*address), "{address} twice");
                    }
                }
            }
        }
        for key in store.keys().unwrap() {
            let mut entry = store.find(&key).unwrap().unwrap();
            store.claim(&mut entry).unwrap();
            store.lock().unwrap().free(&entry).unwrap();
        }
        store.lock().unwrap().free_strays().unwrap();
        prop_assert!(store.used().unwrap().is_empty());
        prop_assert!(store.keys().unwrap().is_empty());
    }
}
