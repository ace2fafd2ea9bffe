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
  it('says hello at the start and every 30 s', () => {
    const { lan, first } = started();
    expect(helloIn(first).sequence).to.equal(1n);
    expect(lan.deadline()).to.equal(LAN_INTERVAL_MS);
    expect(helloIn(lan.handle({ kind: 'deadline' }, LAN_INTERVAL_MS)).sequence).to.equal(2n);
  });

  it('candidates that come one by one go out together', () => {
    const { lan } = started();
    lan.handle({ kind: 'candidates', candidates: [] }, 1_000);
    lan.handle({ kind: 'candidates', candidates: [{ family: 4, address: '192.168.1.2', port: 20_000 }] }, 1_100);
    expect(lan.deadline()).to.equal(1_000 + LAN_COLLECT_MS);
    expect(helloIn(lan.handle({ kind: 'deadline' }, 1_200)).candidates).to.have.length(1);
  });

  it('a boot not heard before is answered once, within a second', () => {
    const { lan } = started();
    lan.handle({ kind: 'heard', boot: 'a' }, 5_000);
    expect(lan.deadline()).to.equal(5_000 + LAN_ANSWER_MS / 2);
    expect(lan.handle({ kind: 'deadline' }, 5_500)).to.have.length(1);
    lan.handle({ kind: 'heard', boot: 'a' }, 6_000);
    expect(lan.deadline()).to.equal(5_500 + LAN_INTERVAL_MS);
  });
});
