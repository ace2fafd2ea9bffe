import { expect } from 'chai';
import { parsePrefix } from '../wire/address.ts';
import { encodeCertificate } from '../wire/certificate.ts';
import { LAN_PREFIX, verifyHello } from '../wire/hello.ts';
import { overlayIdOf } from '../wire/ids.ts';
import { privateKey, rawPublicKey } from '../wire/keys.ts';
import { LAN_ANSWER_MS, LAN_COLLECT_MS, LAN_INTERVAL_MS, Lan, type LanAction } from './lan.ts';
import { OwnBoot } from './own-boot.ts';

const authority = privateKey('ed25519', Buffer.alloc(32, 1));
const identity = privateKey('ed25519', Buffer.alloc(32, 2));
const certificate = encodeCertificate(
  {
    overlayId: overlayIdOf(rawPublicKey(authority)),
    identityKey: rawPublicKey(identity),
    sessionKey: Buffer.alloc(32, 3),
    name: 'desk1',
    addresses: [parsePrefix('10.1.0.1/16')],
    routes: [],
    macs: [],
    serial: 1n,
    notBefore: 0,
    notAfter: 2_000_000_000,
  },
  authority,
);

const started = () => {
  const own = new OwnBoot({
    identity,
    certificate,
    nonce: Buffer.alloc(16),
    ephemeral: privateKey('x25519', Buffer.alloc(32, 4)),
  });
  const lan = new Lan(own, () => 0.5);
  return { lan, first: lan.handle({ kind: 'start' }, 0) };
};

const helloIn = ([action]: readonly LanAction[]) => {
  expect(action!.datagram.subarray(0, 4).equals(LAN_PREFIX)).to.equal(true);
  return verifyHello(action!.datagram.subarray(4), rawPublicKey(authority));
};

describe('discovery on the local network', () => {
  /** The moments of the hellos that follow by themselves until `untilMs`. */
  const followingTo = (lan: Lan, untilMs: number): readonly number[] => {
    const at: number[] = [];
    for (let due = lan.deadline(); due !== undefined && due <= untilMs; due = lan.deadline()) {
      expect(lan.handle({ kind: 'deadline' }, due)).to.have.length(1);
      at.push(due);
    }
    return at;
  };

  it('says hello at the start, again at doubling intervals, and then every 30 s', () => {
    const { lan, first } = started();
    expect(helloIn(first).sequence).to.equal(1n);
    expect(followingTo(lan, 125_000)).to.deep.equal([1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000, 121_000]);
  });

  it('repeats other candidates in the same way, and the same ones not at all', () => {
    const { lan } = started();
    const candidates = [{ family: 4, address: '192.168.1.2', port: 20_000 }] as const;
    followingTo(lan, 100_000);
    lan.handle({ kind: 'candidates', candidates }, 100_000);
    expect(followingTo(lan, 116_000)).to.deep.equal([100_200, 101_200, 103_200, 107_200, 115_200]);
    lan.handle({ kind: 'candidates', candidates: [...candidates] }, 117_000);
    expect(lan.deadline()).to.equal(131_200);
  });

  it('candidates that come one by one go out together', () => {
    const { lan } = started();
    lan.handle({ kind: 'candidates', candidates: [] }, 500);
    lan.handle({ kind: 'candidates', candidates: [{ family: 4, address: '192.168.1.2', port: 20_000 }] }, 600);
    expect(lan.deadline()).to.equal(500 + LAN_COLLECT_MS);
    expect(helloIn(lan.handle({ kind: 'deadline' }, 700)).candidates).to.have.length(1);
  });

  it('answers the first three hellos of a boot, each within a second', () => {
    const { lan } = started();
    followingTo(lan, 100_000);
    for (const at of [100_000, 101_000, 103_000]) {
      lan.handle({ kind: 'heard', boot: 'a' }, at);
      expect(lan.deadline()).to.equal(at + LAN_ANSWER_MS / 2);
      expect(lan.handle({ kind: 'deadline' }, at + 500)).to.have.length(1);
    }
    lan.handle({ kind: 'heard', boot: 'a' }, 107_000);
    expect(lan.deadline()).to.equal(103_500 + LAN_INTERVAL_MS);
  });
});
