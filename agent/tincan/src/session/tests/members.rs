use super::world::*;
use crate::session::*;
use crate::time::SECOND;
use crate::wire::control::Control;
use crate::wire::record::CONTROL;
use crate::wire::Revocations;

fn signed(certificate: &Certificate) -> Vec<u8> {
    certificate.sign(&authority("authority"))
}

fn list(serial: u64, entries: Vec<(NodeId, u64)>) -> Vec<u8> {
    let overlay = certificate_of("any", &authority("authority"), 1).overlay;
    Revocations { overlay, serial, issued: ISSUED, entries }.sign(&authority("authority"))
}

fn talking() -> World {
    let mut world = World::pair();
    world.frame(0, 1, "a");
    world.run(SECOND);
    world
}

#[test]
fn another_authoritys_node_is_refused_both_as_member_and_in_a_handshake() {
    let mut ours = node("ann", 1);
    let other = node_with("eve", 1, "another authority", vec![1, 2], vec![Cipher::Aes128Gcm]);
    let now = Now { us: 0, unix: ISSUED };
    assert_eq!(ours.sessions.add_member(&other.certificate, now), Err(Refusal::WrongAuthority));
    // The same overlay id is claimed, but another key signed it.
    let forged = certificate_of("eve", &authority("authority"), 9).sign(&authority("another authority"));
    assert_eq!(ours.sessions.add_member(&forged, now), Err(Refusal::WrongAuthority));
    let mut world = World::new(vec![ours, other]);
    let noise = noise::Noise::new(seed("session eve"), world.nodes[0].sessions.certificate().overlay);
    let payload =
        crate::wire::handshake::InitiationPayload { boot_id: BootId([1; 8]), ciphers: &[1, 2], certificate: &forged };
    let key = world.nodes[0].sessions.certificate().session_key;
    let (_, message) = noise.initiate(&key, [7; 32], &payload.encode()).unwrap();
    let mut record = crate::wire::handshake::encode_initiation(5, &message);
    let mac1 = cookie::short_mac(&cookie::mac1_key(&key), &record);
    record.extend_from_slice(&mac1);
    record.extend_from_slice(&[0; 16]);
    world.deliver(Flying { from: 1, to: 0, record, at: 0 });
    assert_eq!(world.refusals(0), [("wrong-authority", 1)]);
    assert!(world.seen.is_empty());
}

#[test]
fn a_certificate_is_worth_only_what_its_session_key_proves() {
    // Eve is a member, but shows Bob's certificate.
    let mut world = World::new(vec![node("ann", 1), node("bob", 1), node("eve", 1)]);
    let noise = noise::Noise::new(seed("session eve"), world.nodes[0].sessions.certificate().overlay);
    let bob = world.nodes[1].certificate.clone();
    let payload =
        crate::wire::handshake::InitiationPayload { boot_id: BootId([1; 8]), ciphers: &[1, 2], certificate: &bob };
    let key = world.nodes[0].sessions.certificate().session_key;
    let (_, message) = noise.initiate(&key, [7; 32], &payload.encode()).unwrap();
    let mut record = crate::wire::handshake::encode_initiation(5, &message);
    let mac1 = cookie::short_mac(&cookie::mac1_key(&key), &record);
    record.extend_from_slice(&mac1);
    record.extend_from_slice(&[0; 16]);
    world.deliver(Flying { from: 2, to: 0, record, at: 0 });
    assert_eq!(world.refusals(0), [("key-mismatch", 1)]);
}

#[test]
fn a_revoked_members_session_ends_at_once_and_its_handshakes_are_refused() {
    let mut world = talking();
    let (label, id) = (world.nodes[0].label, world.nodes[0].sessions.certificate().node_id());
    let serial = world.nodes[0].sessions.certificate().serial;
    let actions = world.nodes[1].sessions.set_revocations(&list(1, vec![(id, serial)])).unwrap();
    assert_eq!(
        actions,
        [
            Action::Lost { label, reason: LostReason::Revoked },
            Action::MemberGone { label, reason: LostReason::Revoked }
        ]
    );
    world.frame(0, 1, "no more");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["a"]);
    let name = world.nodes[0].name;
    world.nodes[0] = node(name, 2);
    let certificate = world.nodes[1].certificate.clone();
    world.nodes[0].sessions.add_member(&certificate, world.now).unwrap();
    world.frame(0, 1, "nor anew");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["a"]);
    assert!(world.refusals(1).iter().any(|(name, _)| *name == "revoked"));
    // A certificate with a higher serial is not void.
    let raw = signed(&certificate_of(name, &authority("authority"), serial + 1));
    assert_eq!(world.nodes[1].sessions.add_member(&raw, world.now).unwrap().change, Change::New);
}

#[test]
fn only_a_list_with_a_higher_serial_by_our_authority_is_taken() {
    let mut node = node("ann", 1);
    assert_eq!(node.sessions.set_revocations(&list(5, vec![])), Ok(vec![]));
    assert_eq!(node.sessions.set_revocations(&list(5, vec![])), Err(Refusal::Superseded));
    assert_eq!(node.sessions.set_revocations(&list(4, vec![])), Err(Refusal::Superseded));
    let overlay = node.sessions.certificate().overlay;
    let forged = Revocations { overlay, serial: 6, issued: ISSUED, entries: vec![] }.sign(&authority("another"));
    assert_eq!(node.sessions.set_revocations(&forged), Err(Refusal::WrongAuthority));
    assert_eq!(node.sessions.revocations().map(|list| list.serial), Some(5));
}

/// Node 0's certificate, renewed to end early, as node 1 knows it.
fn shorten(world: &mut World, not_after: u64) -> Vec<u8> {
    let mut short = (**world.nodes[0].sessions.certificate()).clone();
    short.serial += 1;
    short.not_after = not_after;
    world.nodes[1].sessions.add_member(&signed(&short), world.now).unwrap();
    signed(&short)
}

#[test]
fn an_expired_members_session_ends_and_its_handshakes_are_refused() {
    let mut world = talking();
    let label = world.nodes[0].label;
    let short = shorten(&mut world, ISSUED + YEAR / 2);
    world.now.unix = ISSUED + YEAR / 2 + 1;
    world.run(11 * SECOND);
    assert!(world.nodes[1].events.contains(&Action::MemberGone { label, reason: LostReason::Expired }));
    assert!(!world.usable(1, 0));
    assert_eq!(world.nodes[1].sessions.add_member(&short, world.now), Err(Refusal::Expired));
}

#[test]
fn a_certificate_that_was_replaced_is_not_good_again_when_the_newer_one_has_expired() {
    let mut world = talking();
    let long = world.nodes[0].certificate.clone();
    shorten(&mut world, ISSUED + YEAR / 2);
    world.now.unix = ISSUED + YEAR / 2 + 1;
    world.run(11 * SECOND);
    assert_eq!(world.nodes[1].sessions.add_member(&long, world.now), Err(Refusal::Superseded));
}

#[test]
fn an_expired_members_handshakes_are_refused() {
    let mut world = World::pair();
    let mut short = (**world.nodes[0].sessions.certificate()).clone();
    short.not_after = ISSUED + YEAR / 2;
    let parameters = parameters_of(&authority("authority"), vec![1, 2]).sign(&authority("authority"));
    let private = seed(&format!("session {}", world.nodes[0].name));
    let local = Local::new(private, &signed(&short), &parameters, BootId([1; 8]), keys::preferred_ciphers()).unwrap();
    world.nodes[0].sessions.update_local(local).unwrap();
    let label = world.nodes[0].label;
    world.nodes[1].sessions.forget(label);
    world.now.unix = ISSUED + YEAR / 2 + 1;
    world.frame(0, 1, "late");
    world.run(SECOND);
    assert!(world.refusals(1).iter().any(|(name, _)| *name == "expired"));
    assert!(world.texts(1).is_empty());
}

#[test]
fn a_clock_that_jumps_five_years_ends_no_session_and_expiry_comes_at_its_time() {
    for wrong in [ISSUED + 5 * YEAR, ISSUED - 5 * YEAR, 0] {
        let mut world = talking();
        let label = world.nodes[0].label;
        let end = world.now.unix + 60;
        shorten(&mut world, end);
        world.now.unix = wrong;
        world.run(30 * SECOND);
        world.frame(0, 1, "still");
        world.run(SECOND);
        assert_eq!(world.texts(1), ["a", "still"], "{wrong}");
        world.run(45 * SECOND);
        assert!(world.nodes[1].events.contains(&Action::MemberGone { label, reason: LostReason::Expired }), "{wrong}");
    }
}

#[test]
fn a_node_that_starts_five_years_ahead_takes_members_once_it_is_told_the_time() {
    let authority = authority("authority");
    let certificate = certificate_of("ann", &authority, 1).sign(&authority);
    let parameters = parameters_of(&authority, vec![1]).sign(&authority);
    let local = Local::new(seed("session ann"), &certificate, &parameters, BootId([1; 8]), vec![]).unwrap();
    let ahead = Now { us: 0, unix: ISSUED + 5 * YEAR };
    let mut sessions = Sessions::new(local, Box::new(SystemRandom::new()), ahead);
    let bob = signed(&certificate_of("bob", &authority, 2));
    assert_eq!(sessions.add_member(&bob, ahead), Err(Refusal::Expired));
    sessions.tell_time(ISSUED + 60, ahead);
    assert_eq!(sessions.add_member(&bob, ahead).unwrap().change, Change::New);
}

#[test]
fn a_clock_five_years_back_judges_by_the_latest_signed_time() {
    let mut node = node("ann", 1);
    let past = Now { us: 0, unix: ISSUED - 5 * YEAR };
    let mut expired = certificate_of("old", &authority("authority"), 300);
    expired.not_before = ISSUED - 3 * YEAR;
    expired.not_after = ISSUED - YEAR;
    assert_eq!(node.sessions.add_member(&signed(&expired), past), Err(Refusal::Expired));
    // One that is younger than anything seen so far is taken, and moves the time.
    let mut younger = certificate_of("new", &authority("authority"), 301);
    younger.not_before = ISSUED + YEAR / 2;
    younger.not_after = ISSUED + YEAR;
    let label = node.sessions.add_member(&signed(&younger), past).unwrap().label;
    let mut short = certificate_of("short", &authority("authority"), 302);
    short.not_after = ISSUED + YEAR / 4;
    assert_eq!(node.sessions.add_member(&signed(&short), past), Err(Refusal::Expired));
    assert!(node.sessions.member(label).is_some());
}

#[test]
fn of_two_certificates_for_one_node_the_higher_serial_wins() {
    let mut node = node("ann", 1);
    let now = Now { us: 0, unix: ISSUED };
    let bob = |serial| signed(&certificate_of("bob", &authority("authority"), serial));
    assert_eq!(node.sessions.add_member(&bob(10), now).unwrap().change, Change::New);
    assert_eq!(node.sessions.add_member(&bob(10), now).unwrap().change, Change::Known);
    assert_eq!(node.sessions.add_member(&bob(9), now), Err(Refusal::Superseded));
    assert_eq!(node.sessions.add_member(&bob(11), now).unwrap().change, Change::Renewed);
    let member = node.sessions.members().next().unwrap();
    assert_eq!(member.certificate.serial, 11);
    let id = member.node_id;
    assert!(node.sessions.member_by_id(&id).is_some());
}

#[test]
fn of_two_certificates_that_claim_one_address_the_higher_serial_wins() {
    let mut world = talking();
    let (label, owner) = (world.nodes[0].label, (**world.nodes[0].sessions.certificate()).clone());
    let mut thief = certificate_of("carol", &authority("authority"), owner.serial - 1);
    thief.ipv4 = owner.ipv4.clone();
    assert_eq!(world.nodes[1].sessions.add_member(&signed(&thief), world.now), Err(Refusal::Superseded));
    thief.serial = owner.serial + 1;
    let added = world.nodes[1].sessions.add_member(&signed(&thief), world.now).unwrap();
    let [Action::Send { to: To::Label(to), record }, ended @ ..] = added.actions.as_slice() else {
        panic!("{:?}", added.actions)
    };
    assert_eq!(
        ended,
        [
            Action::Lost { label, reason: LostReason::Displaced },
            Action::MemberGone { label, reason: LostReason::Displaced }
        ]
    );
    // The last record tells the loser who has its address now.
    let mut record = record.clone();
    let opened = world.nodes[0].sessions.open(&mut record, world.now).unwrap();
    assert_eq!((*to, opened.record_type), (label, CONTROL));
    assert_eq!(Control::decode(opened.plaintext), Ok(Control::Certificate(&signed(&thief))));
}

#[test]
fn our_own_label_and_address_are_not_given_away_to_a_lower_serial() {
    let mut node = node("ann", 1);
    let now = Now { us: 0, unix: ISSUED };
    assert_eq!(node.sessions.add_member(&node.certificate.clone(), now), Err(Refusal::Ourselves));
    let mut thief = certificate_of("carol", &authority("authority"), 0);
    thief.ipv4 = node.sessions.certificate().ipv4.clone();
    assert_eq!(node.sessions.add_member(&signed(&thief), now), Err(Refusal::Superseded));
}

#[test]
fn a_renewed_certificate_keeps_the_session_and_one_with_another_key_ends_it() {
    let mut world = talking();
    let own = (**world.nodes[0].sessions.certificate()).clone();
    let mut renewed = own.clone();
    renewed.serial += 1;
    let added = world.nodes[1].sessions.add_member(&signed(&renewed), world.now).unwrap();
    assert_eq!((added.change, added.actions), (Change::Renewed, vec![]));
    assert!(world.usable(1, 0));
    // The node itself still shows the older one, and is let in: it is the same node with the same key.
    let actions = world.nodes[1].sessions.start(added.label, world.now);
    world.take(1, actions);
    let name = world.nodes[0].name;
    world.nodes[0] = node(name, 2);
    let certificate = world.nodes[1].certificate.clone();
    world.nodes[0].sessions.add_member(&certificate, world.now).unwrap();
    world.frame(0, 1, "b");
    world.run(SECOND);
    assert_eq!(world.texts(1), ["a", "b"]);
    let mut rekeyed = own;
    rekeyed.serial += 2;
    rekeyed.session_key = noise::public_key(&seed("another session key")).unwrap();
    let added = world.nodes[1].sessions.add_member(&signed(&rekeyed), world.now).unwrap();
    assert_eq!(added.actions, [Action::Lost { label: added.label, reason: LostReason::Rekeyed }]);
}

#[test]
fn a_newer_certificate_shown_in_a_handshake_is_kept_and_told() {
    let mut world = World::pair();
    let mut renewed = (**world.nodes[0].sessions.certificate()).clone();
    renewed.serial += 1;
    let raw = signed(&renewed);
    let parameters = parameters_of(&authority("authority"), vec![1, 2]).sign(&authority("authority"));
    let private = seed(&format!("session {}", world.nodes[0].name));
    let local = Local::new(private, &raw, &parameters, BootId([1; 8]), keys::preferred_ciphers()).unwrap();
    world.nodes[0].sessions.update_local(local).unwrap();
    world.frame(1, 0, "hi");
    world.run(SECOND);
    let label = world.nodes[0].label;
    assert!(world.nodes[1].events.contains(&Action::MemberLearned { label, raw }));
    assert_eq!(world.nodes[1].sessions.member(label).map(|member| member.certificate.serial), Some(renewed.serial));
    assert_eq!(world.texts(0), ["hi"]);
}

#[test]
fn a_key_that_is_not_the_certificates_makes_no_node() {
    let authority = authority("authority");
    let certificate = certificate_of("ann", &authority, 1).sign(&authority);
    let parameters = parameters_of(&authority, vec![1]).sign(&authority);
    let local = Local::new([1; 32], &certificate, &parameters, BootId([1; 8]), vec![]);
    assert_eq!(local.err(), Some(Refusal::KeyMismatch));
    let mut ann = node("ann", 1);
    let bob = node("bob", 1);
    let parameters = parameters_of(&authority, vec![1]).sign(&authority);
    let local = Local::new(seed("session bob"), &bob.certificate, &parameters, BootId([1; 8]), vec![]).unwrap();
    assert_eq!(ann.sessions.update_local(local), Err(Refusal::KeyMismatch));
}

#[test]
fn a_ruled_source_mac_is_taken_only_from_the_node_that_has_it() {
    let world = World::pair();
    let (a, b) = (world.nodes[0].label, world.nodes[1].label);
    let own = world.nodes[0].sessions.certificate().mac();
    let verdict = |label, mac| world.nodes[1].sessions.source_mac_verdict(label, &mac);
    assert_eq!(verdict(a, own), Verdict::Allowed);
    assert_eq!(verdict(b, own), Verdict::Refused);
    assert_eq!(verdict(a, Mac([2, 0x46, 1, 2, 3, 4])), Verdict::Refused);
    assert_eq!(verdict(a, Mac([0x52, 0x54, 0, 1, 2, 3])), Verdict::Foreign);
    assert_eq!(verdict(a, Mac([0x53, 0x54, 0, 1, 2, 3])), Verdict::Refused);
    assert_eq!(verdict(a, Mac::BROADCAST), Verdict::Refused);
}

#[test]
fn an_address_is_its_owner_s_and_one_that_nobody_has_is_anybody_s() {
    let mut ann = node("ann", 1);
    let now = Now { us: 0, unix: ISSUED };
    let member = |name, third: u8, serial| {
        let routed_ipv4 = vec![([10, 244, third, 0].into(), 24)];
        let routed_ipv6 = vec![(format!("fd00:244:0:{third}::").parse().unwrap(), 64)];
        Certificate { routed_ipv4, routed_ipv6, ..certificate_of(name, &authority("authority"), serial) }
    };
    let (bob, eve) = (member("bob", 2, 5), member("eve", 3, 5));
    for certificate in [&bob, &eve] {
        ann.sessions.add_member(&signed(certificate), now).unwrap();
    }
    let own = ann.sessions.certificate().ipv4[0].0.to_string();
    let (bob_s, eve_s) = (bob.ipv4[0].0.to_string(), eve.ipv4[0].0.to_string());
    let may = |ann: &Node, of: &Certificate, ip: &str| ann.sessions.may_use(of.label(), ip.parse().unwrap());
    for ip in [bob_s.as_str(), "10.244.2.9", "fd00:244:0:2::9"] {
        assert!(may(&ann, &bob, ip) && !may(&ann, &eve, ip), "{ip}");
    }
    for ip in ["10.244.4.9", "192.168.1.1", "fe80::1", "::", "fd00:244:0:4::9"] {
        assert!(may(&ann, &bob, ip) && may(&ann, &eve, ip), "{ip}");
    }
    assert!(!may(&ann, &bob, &own) && !may(&ann, &bob, &eve_s));
    // Eve's certificate is renewed with another prefix, and then she leaves.
    let moved = member("eve", 4, 6);
    ann.sessions.add_member(&signed(&moved), now).unwrap();
    assert!(may(&ann, &bob, "10.244.3.9") && !may(&ann, &bob, "10.244.4.9"));
    ann.sessions.forget(moved.label());
    assert!(may(&ann, &bob, "10.244.4.9") && may(&ann, &bob, &eve_s));
}
