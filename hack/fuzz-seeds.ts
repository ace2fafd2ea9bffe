/** Inputs that fuzzing begins with: the test vectors in the form each target reads, and what an agent and its controller say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { desiredFlows, type SwitchMember } from '../agent/src/sdn/index.ts';
import { encode, FLOW_MOD_DEFAULTS, type Message, WHOLE_FRAME } from '../agent/src/sdn/openflow/index.ts';

const VECTORS = join(import.meta.dirname, '../test/vectors');
const NODE = '00112233445566778899aabbccddeeff';

/** Every value of a vector file that is bytes, with the name of its field. */
function fields(file: string): [string, Buffer][] {
  const found: [string, Buffer][] = [];
  const walk = (value: unknown, key: string): void => {
    if (typeof value === 'string') {
      if (/^([0-9a-f]{2})+$/.test(value)) found.push([key, Buffer.from(value, 'hex')]);
    } else if (Array.isArray(value)) {
      for (const item of value) walk(item, key);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) walk(item, name);
    }
  };
  walk(JSON.parse(readFileSync(join(VECTORS, `${file}.json`), 'utf8')), '');
  return found;
}

const all = (...files: string[]): Buffer[] => files.flatMap(fields).map(([, bytes]) => bytes);
const named = (file: string, ...names: string[]): Buffer[] =>
  fields(file).flatMap(([name, bytes]) => (names.includes(name) ? [bytes] : []));

/** One step of a script: `kind (1) | length (2, little-endian) | bytes`. */
function step(kind: number, bytes: Buffer): Buffer {
  const head = Buffer.from([kind, 0, 0]);
  head.writeUInt16LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
const steps = (kind: number, inputs: readonly Buffer[]): Buffer[] => inputs.map((input) => step(kind, input));

/** The same with a length of one byte, as the targets of frames and OpenFlow have it. */
const short = (kind: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([kind, bytes.length]), bytes]);

const objects = (): Buffer[] => all('certificate', 'parameters', 'revocations').filter((bytes) => bytes.length > 40);
const plaintexts = (): Buffer[] => [
  ...all('frame', 'fragment', 'flood', 'probe', 'control'),
  ...named('handshake', 'payload1', 'payload2'),
];

/** What is sealed, by record type from C3 on. */
const sealed = (): [number, Buffer[]][] => [
  [0, named('frame', 'plaintext', 'input')],
  [1, named('fragment', 'fragments', 'input')],
  [2, named('flood', 'plaintext', 'input')],
  [3, named('flood', 'acknowledgement')],
  [4, named('probe', 'plaintext', 'input')],
  [5, named('control', 'plaintext', 'input')],
];

/** What a tap has before each frame. */
const VNET_BYTES = 24;

const sum = (...parts: readonly Buffer[]): number => {
  const bytes = Buffer.concat(parts);
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total ^ 0xffff;
};
const u16 = (...values: readonly number[]): Buffer => Buffer.concat(values.map((n) => Buffer.from([n >> 8, n & 255])));

function ipv4(id: number, protocol: number, from: readonly number[], to: readonly number[], inside: Buffer): Buffer {
  const header = Buffer.concat([
    u16(0x4500, 20 + inside.length, id, 0, 0x4000 | protocol, 0),
    Buffer.from([...from, ...to]),
  ]);
  header.writeUInt16BE(sum(header), 10);
  return Buffer.concat([header, inside]);
}

/** Segments of TCP inside VXLAN, each the next of the one before, and as one super-frame that a tap gives. */
function tunnels(): Buffer[] {
  const [local, remote, pods] = [
    [10, 45, 0, 1],
    [10, 45, 0, 2],
    [10, 244, 1, 2, 10, 244, 0, 2],
  ] as const;
  const segment = (number: number, bytes: number, flags: number): Buffer => {
    const tcp = Buffer.concat([
      u16(4000, 5201, 0, 8 * number, 0, 1, 0x5000 | flags, 512, 0, 0),
      Buffer.alloc(bytes, 7),
    ]);
    tcp.writeUInt16BE(sum(Buffer.from(pods), u16(6, tcp.length), tcp), 16);
    const pod = ipv4(number + 1, 6, pods.slice(0, 4), pods.slice(4), tcp);
    const udp = Buffer.concat([
      u16(50_000, 8472, 30 + pod.length, 0, 0x0800, 0, 0, 0x100),
      Buffer.alloc(12, 2),
      u16(0x0800),
      pod,
    ]);
    const macs = Buffer.from([2, 0x45, ...local, 2, 0x45, ...remote]);
    return Buffer.concat([macs, u16(0x0800), ipv4(number + 9, 17, remote, local, udp)]);
  };
  const vnet = Buffer.alloc(VNET_BYTES);
  vnet.set([1, 0x21, 104, 0, 8, 0, 84, 0, 16, 0]);
  vnet.set([34, 0, 64, 0], 20);
  return [
    Buffer.concat([0, 1, 2].map((number) => short(0, segment(number, 8, number === 2 ? 0x18 : 0x10)))),
    Buffer.concat([Buffer.from([187, 4]), vnet, segment(0, 40, 0x18)]),
  ];
}

/** Requests of the control socket, one of each method. */
function requests(): Buffer[] {
  const [certificate] = named('certificate', 'object').map((bytes) => bytes.toString('base64'));
  const [parameters] = named('parameters', 'object').map((bytes) => bytes.toString('base64'));
  const [list] = named('revocations', 'object').map((bytes) => bytes.toString('base64'));
  const peer = NODE;
  const calls: [string, unknown][] = [
    ['hello', { client: 'agent' }],
    [
      'configure',
      {
        sessionKey: Buffer.alloc(32, 7).toString('base64'),
        certificate,
        parameters,
        bridge: { name: 'evio0', tap: 'evio-tap' },
        udp: { port: 0 },
        stun: ['192.0.2.1:3478', '[2001:db8::1]:3478'],
        excludeInterfaces: ['docker0', 'flannel.1'],
      },
    ],
    ['members', { certificates: [certificate, 'AAAA'] }],
    ['forget', { peer }],
    ['revocations', { list }],
    ['tunnel-add', { peer, note: '{"kinds":["successor"]}' }],
    ['tunnel-remove', { peer }],
    ['tunnel-note', { peer, note: '' }],
    ['tunnel-candidates', { peer, candidates: ['192.0.2.2:20000', '[2001:db8::2]:20000'] }],
    ['tunnel-webrtc', { peer, up: true, recordSize: 1200 }],
    ['send', { to: peer, body: { type: 'gossip', of: [1, 2.5, null, '\u00e9'] } }],
    ['ping', { to: peer, timeoutMs: 1000 }],
    [
      'firewall',
      {
        podCIDRs: ['10.244.1.0/24', 'fd00:244:0:1::/64'],
        overlayCIDRs: ['10.244.0.0/16'],
        hostInterfacePrefix: 'evc',
      },
    ],
    ['firewall', null],
    ['shutdown', { keepBridge: false }],
    ...['tunnels', 'members-list', 'stats', 'demand'].map((method): [string, unknown] => [method, {}]),
  ];
  return calls.map(([method, params], id) => Buffer.from(JSON.stringify({ id, method, params })));
}

/** What a controller says to a switch with three nodes. */
function messages(): Buffer[] {
  const member = (n: number): SwitchMember => {
    const mac = `02:45:0a:00:00:0${n}`;
    const macs = [{ mac, mask: 'ff:ff:ff:ff:ff:ff' }];
    return { label: BigInt(n) << 56n, mac, macs, addresses: [{ address: `10.0.0.${n}` }, { address: `fd45::${n}` }] };
  };
  const core = [2, 3].map((n) => ({ value: BigInt(n) << 56n, mask: 0xffn << 56n, port: 14 + n, priority: 1_008 }));
  const flows = desiredFlows({ self: member(1), members: [member(2), member(3)], core, drained: [] });
  const said: Message[] = [
    ...flows.map((flow): Message => ({ type: 'flow-mod', xid: 1, ...FLOW_MOD_DEFAULTS, ...flow, command: 'add' })),
    { type: 'barrier-request', xid: 2 },
    { type: 'set-config', xid: 3, missSendBytes: WHOLE_FRAME },
    { type: 'role-request', xid: 4, role: 'master', generation: 1n },
  ];
  return said.map(encode);
}

/** A message as the step of a script that makes the header itself. */
function body(message: Buffer, kinds: readonly number[]): [number, Buffer] | undefined {
  const at = kinds.indexOf(message[1] ?? -1);
  return at < 0 ? undefined : [at, message.subarray(8)];
}

/** RFC 5769 §2.2 and §2.3, and an answer of a server of RFC 3489. */
const STUN = [
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96',
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c',
  '0101000c2112a442b7e7a701bc34d686fa87dfae0001000800018055c0000201',
].map((hex) => Buffer.from(hex, 'hex'));

const BY_TARGET: Readonly<Record<string, () => Buffer[]>> = {
  records: () => all('routing', 'session', 'handshake', 'notice'),
  certificates: () => [
    ...objects(),
    ...[0, 1, 2].flatMap((kind) => steps(kind, objects())),
    Buffer.concat([...steps(0, named('certificate', 'object')), ...steps(1, named('revocations', 'object'))]),
  ],
  handshake: () => [
    ...steps(0, named('handshake', 'initiation', 'initiationWithCookie', 'response', 'input')),
    ...steps(1, named('handshake', 'cookie', 'input')),
    ...steps(3, named('session', 'record')),
    ...steps(4, named('handshake', 'payload1')),
    ...steps(5, named('handshake', 'payload2')),
    Buffer.concat([...steps(4, named('handshake', 'payload1')), ...steps(5, named('handshake', 'payload2'))]),
  ],
  plaintexts,
  frames: () => {
    const frames = named('frame', 'ethernet');
    const records = frames.map((frame, flags) => short(flags & 3, frame));
    return [
      ...frames.map((frame) => Buffer.concat([Buffer.from([187, 4]), Buffer.alloc(VNET_BYTES), frame])),
      ...records,
      ...tunnels(),
    ];
  },
  openflow: () => {
    const kinds = [14, 15, 29, 18, 13, 24, 9];
    const known = messages().flatMap((message) => {
      const found = body(message, kinds);
      return found === undefined || found[1].length > 255 ? [] : [short(found[0] * 8, found[1])];
    });
    const frames = named('frame', 'ethernet').map((frame) => short(5, frame));
    return [...known, Buffer.concat([...known.slice(0, 12), ...frames])];
  },
  stun: () => [...STUN, ...STUN.map((answer) => Buffer.concat([step(40, Buffer.alloc(0)), step(131, answer)]))],
  relay: () => [
    ...all('relay').map((unit) => Buffer.concat([Buffer.from([3]), unit])),
    Buffer.concat([
      step(0, Buffer.from([9])),
      step(5, Buffer.alloc(40, 1)),
      step(4, Buffer.alloc(9, 2)),
      step(3, Buffer.alloc(64)),
    ]),
  ],
  control: () => [...requests(), Buffer.concat(requests().map((line) => Buffer.concat([line, Buffer.from('\n')])))],
  member: () => {
    const kinds = [14, 15, 29, 18, 13, 24, 9, 2];
    const openflow = messages().flatMap((message) => {
      const found = body(message, kinds);
      return found === undefined ? [] : [step(12 | (found[0] << 4), found[1])];
    });
    const said = sealed().flatMap(([kind, inputs]) => steps(kind, inputs));
    const single = [
      ...said,
      ...sealed().flatMap(([kind, inputs]) => steps(6 | (kind << 4), inputs)),
      ...steps(7, all('routing', 'notice', 'session')),
      ...[8, 24, 40, 56, 104].flatMap((kind) => steps(kind, all('notice', 'session').slice(0, 20))),
      ...steps(
        9,
        all('notice', 'handshake').map((bytes) => Buffer.concat([Buffer.from([64, 1]), bytes])),
      ),
      ...steps(11, requests()),
      ...steps(13, named('certificate', 'object')),
      ...steps(14, named('revocations', 'object')),
      ...openflow,
      step(15, Buffer.alloc(0)),
      step(0x7a, Buffer.alloc(0)),
    ];
    return [
      ...single,
      Buffer.concat(said.slice(0, 40)),
      Buffer.concat([...openflow.slice(0, 20), ...said.slice(0, 20)]),
    ];
  },
};

/** Names and bytes for a target; none where its inputs look like nothing that there is. */
export function seeds(target: string): [string, Buffer][] {
  return (BY_TARGET[target]?.() ?? []).map((bytes, index) => [`seed-${index}`, bytes]);
}
