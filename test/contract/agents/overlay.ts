/** An overlay of a few nodes on one machine: an authority, certificates, accounts, node files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeCertificate } from '../../../agent/src/wire/certificate.ts';
import { nodeIdOf } from '../../../agent/src/wire/ids.ts';
import { generatePrivateKey, rawPrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { nodeMac } from '../../../agent/src/wire/mac.ts';
import { encodeParameters, verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { CONFERENCE, type XmppServer } from '../../servers/xmpp-server.ts';
import { adminOf } from '../room.ts';

const ROOM = `agents@${CONFERENCE}`;

export interface EnrolledNode {
  readonly name: string;
  readonly id: string;
  readonly file: string;
  readonly runDir: string;
}

export async function enrol(
  server: XmppServer,
  dir: string,
  names: readonly string[],
): Promise<readonly EnrolledNode[]> {
  const authority = generatePrivateKey('ed25519');
  const now = Math.floor(Date.now() / 1000);
  const parameters = encodeParameters(
    {
      name: 'lab',
      serial: 1n,
      issued: now,
      mtu: 1400,
      ciphers: ['aes-128-gcm'],
      subnet4: { family: 4, address: '10.99.0.0', length: 16 },
      topology: { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' },
    },
    authority,
  );
  const { overlayId } = verifyParameters(parameters);
  const admin = await adminOf(server);
  await admin.createRoom(ROOM);
  const nodes: EnrolledNode[] = [];
  for (const [i, name] of names.entries()) {
    await admin.addUser(name, `password of ${name}`);
    await admin.addMember(ROOM, name);
    const identity = generatePrivateKey('ed25519');
    const session = generatePrivateKey('x25519');
    const address = `10.99.0.${i + 1}`;
    const certificate = encodeCertificate(
      {
        overlayId,
        identityKey: rawPublicKey(identity),
        sessionKey: rawPublicKey(session),
        name,
        addresses: [{ family: 4, address, length: 16 }],
        routes: [],
        macs: [{ mac: nodeMac([{ family: 4, address, length: 16 }], BigInt(i + 1)), mask: 'ff:ff:ff:ff:ff:ff' }],
        serial: BigInt(i + 1),
        notBefore: now - 60,
        notAfter: now + 86_400,
      },
      authority,
    );
    const home = join(dir, name);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const file = join(home, 'node.json');
    const runDir = join(home, 'run');
    const text = JSON.stringify({
      apiVersion: 'evio/1',
      name,
      overlay: { parameters: parameters.toString('base64') },
      identity: {
        key: rawPrivateKey(identity).toString('base64'),
        sessionKey: rawPrivateKey(session).toString('base64'),
        certificate: certificate.toString('base64'),
      },
      signalling: {
        service: server.service,
        domain: server.domain,
        username: name,
        password: `password of ${name}`,
        ca: server.ca,
        room: ROOM,
      },
      ice: { stun: [], turn: 'none' },
      network: { lan: false },
      runDir,
      stateDir: join(home, 'state'),
      log: { level: 'debug' },
    });
    writeFileSync(file, text, { mode: 0o600 });
    nodes.push({ name, id: nodeIdOf(rawPublicKey(identity)), file, runDir });
  }
  admin.close();
  return nodes;
}
