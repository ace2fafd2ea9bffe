import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { loadNodeConfig } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import { nodeFileValue, writeNodeFile } from '../config/testing/fixture.ts';
import { papersOf } from '../join/papers.ts';
import { encodeCertificate, parseCertificate } from '../wire/certificate.ts';
import { overlayIdOf } from '../wire/ids.ts';
import type { RenewedBody } from '../wire/join-message.ts';
import { generatePrivateKey, rawPublicKey } from '../wire/keys.ts';
import { encodeParameters, verifyParameters } from '../wire/parameters.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { encodeRevocations } from '../wire/revocations.ts';
import { renewNodeFile } from './node-file.ts';

describe('a node file, renewed', () => {
  const authority = generatePrivateKey('ed25519');
  const value = nodeFileValue({ authority });
  const own = parseCertificate(fromBase64(value.identity.certificate));
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const another = (change: object = {}, by = authority): string =>
    base64(encodeCertificate({ ...own, serial: own.serial + 1n, notAfter: own.notAfter + 100, ...change }, by));
  const parameters = (serial: bigint): string =>
    base64(
      encodeParameters({ ...verifyParameters(fromBase64(value.overlay.parameters)), serial, mtu: 1_280 }, authority),
    );
  const revocations = base64(
    encodeRevocations(
      { serial: 3n, issued: own.notBefore, revoked: [{ nodeId: '11'.repeat(16), serial: 1n }] },
      authority,
    ),
  );
  let path: string;

  beforeEach(() => {
    path = writeNodeFile({ ...value, log: { level: 'debug' } });
  });
  afterEach(() => rmSync(dirname(path), { recursive: true }));
  const renewed = (answer: Omit<RenewedBody, 'type'>) =>
    renewNodeFile(path, papersOf({ type: 'renewed', ...answer }, loadNodeConfig(path)));

  it('has the new certificate, parameters and list; what a person wrote stays, and so does its mode', () => {
    const config = renewed({ certificate: another(), parameters: parameters(2n), revocations });
    expect(config.file).to.equal(path);
    for (const { identity, overlay, log } of [config, loadNodeConfig(path)]) {
      expect(identity.certificate).to.deep.include({ serial: 2n, notAfter: own.notAfter + 100 });
      expect([overlay.parameters.serial, overlay.parameters.mtu, overlay.revocations?.serial]).to.deep.equal([
        2n,
        1_280,
        3n,
      ]);
      expect(log.level).to.equal('debug');
    }
    const { identity, signalling } = JSON.parse(readFileSync(path, 'utf8'));
    expect(signalling).to.deep.equal(value.signalling);
    expect(identity.key).to.equal(value.identity.key);
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(readdirSync(dirname(path))).to.deep.equal(['node.json']);
  });

  it('keeps what is as new as what came', () => {
    const papers = papersOf(
      { type: 'renewed', certificate: value.identity.certificate, parameters: parameters(1n) },
      loadNodeConfig(path),
    );
    expect(papers).to.deep.equal({
      ...{ certificate: undefined, parameters: undefined, revocations: undefined },
      ...{ account: undefined, excludeRoutes: [] },
    });
  });

  const account = { ...value.signalling, stun: [] as string[] };

  it('has the XMPP server where the authority says that it is, with its certificate authority and STUN servers', () => {
    const moved = { ...account, service: 'xmpps://192.0.2.9:5223', password: 'another', stun: ['192.0.2.9:3478'] };
    const before = loadNodeConfig(path);
    for (const { signalling, ice, log } of [renewed({ account: moved }), loadNodeConfig(path)]) {
      expect([signalling.service.url, signalling.password.reveal()]).to.deep.equal([moved.service, 'another']);
      expect([ice.stun, ice.turn, log.level]).to.deep.equal([moved.stun, before.ice.turn, 'debug']);
    }
    // Back again: nothing of the other one stays.
    const { signalling, ice } = renewed({ account });
    expect(signalling.service.url).to.equal(before.signalling.service.url);
    expect(ice.stun).to.deep.equal([]);
    expect(papersOf({ type: 'renewed', account }, loadNodeConfig(path)).account).to.equal(undefined);
  });

  it('excludes the routes that the authority leaves to others, beside those that a person has excluded', () => {
    writeFileSync(path, JSON.stringify({ ...value, network: { excludeRoutes: ['10.9.0.0/16'] } }));
    const told = ['10.96.0.0/12', 'fd00:10:96::/112'];
    const { network } = renewed({ excludeRoutes: told });
    expect(network.excludeRoutes).to.deep.equal(['10.9.0.0/16', ...told]);
    expect(papersOf({ type: 'renewed', excludeRoutes: told }, loadNodeConfig(path)).excludeRoutes).to.deep.equal([]);
  });

  it('is left as it was by what is of another authority, of another node, or for other keys', () => {
    const before = readFileSync(path, 'utf8');
    const stranger = generatePrivateKey('ed25519');
    for (const [certificate, words] of [
      [another({ overlayId: overlayIdOf(rawPublicKey(stranger)) }, stranger), /another overlay/],
      [another({ name: 'pi2' }), /another node/],
      [another({ identityKey: rawPublicKey(stranger) }), /another node/],
      [another({ sessionKey: rawPublicKey(generatePrivateKey('x25519')) }), /another node/],
    ] as const)
      expect(() => renewed({ certificate })).to.throw(DecodeError, words);
    expect(() => renewed({ account: { ...account, username: 'pi2.lab' } })).to.throw(DecodeError, /another node/);
    expect(() => renewed({ account: { ...account, service: 'http://192.0.2.9' } })).to.throw(ConfigError, 'service');
    expect(readFileSync(path, 'utf8')).to.equal(before);
  });

  it('is left as it was by what could not be used then, or when it is no node file any more', () => {
    const own1 = base64(
      encodeRevocations(
        { serial: 4n, issued: own.notBefore, revoked: [{ nodeId: own.nodeId, serial: 9n }] },
        authority,
      ),
    );
    expect(() => renewed({ certificate: another(), revocations: own1 })).to.throw(ConfigError, 'revoked');
    const papers = papersOf({ type: 'renewed', certificate: another() }, loadNodeConfig(path));
    for (const text of ['{"apiVersion"', '[]', '{}']) {
      writeFileSync(path, text);
      expect(() => renewNodeFile(path, papers), text).to.throw(ConfigError);
      expect(readFileSync(path, 'utf8')).to.equal(text);
    }
    expect(readdirSync(dirname(path))).to.deep.equal(['node.json']);
  });
});
