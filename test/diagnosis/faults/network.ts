/** UDP, DNS, MTU and addresses. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byName } from '../../demo/internet.ts';
import type { Joined } from '../../demo/overlay.ts';
import { attempt, PREFIX, run } from '../../demo/shell.ts';
import type { Fault, Named } from '../faults.ts';
import { codesOf, type Lab, withRules } from '../lab.ts';
import { fromNetcheck, fromStatus } from './words.ts';

const NO_UDP_THROUGH = 'chain forward { type filter hook forward priority -10; policy accept; meta l4proto udp drop; }';
const NO_UDP_OUT =
  'chain output { type filter hook output priority -10; policy accept; oifname "eth0" meta l4proto udp drop; }';

/** The server by a name, and a resolver that does not answer. */
async function withoutDns(lab: Lab, nameserver: string): Promise<ReturnType<typeof fromNetcheck>> {
  const node = await lab.node('cloud1');
  lab.edit(node, ({ signalling }) => {
    signalling.service = 'xmpps://xmpp.evio.example:5223';
  });
  // What "ip netns exec" puts over /etc.
  const place = join('/etc/netns', `${PREFIX}cloud1`);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'resolv.conf'), `nameserver ${nameserver}\noptions timeout:1 attempts:2\n`);
  try {
    return fromNetcheck(await lab.netcheck(node));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Two nodes that have a direct path, of whose links one is too small for a record. */
async function narrow(lab: Lab, end: 'own' | 'far'): Promise<ReturnType<typeof fromStatus>> {
  const [a, b] = [await lab.node('cloud1'), await lab.node('cloud2')];
  const on = end === 'own' ? 'cloud1' : 'cloud2';
  await run(on, 'ip', 'link', 'set', 'eth0', 'mtu', '1000');
  try {
    await Promise.all([lab.start(a), lab.start(b)]);
    return fromStatus(await lab.statusWhen(a, (report) => codesOf(report).includes('path-narrow')));
  } finally {
    await run(on, 'ip', 'link', 'set', 'eth0', 'mtu', '1500');
    await Promise.all([lab.stop(a), lab.stop(b)]);
  }
}

/** A node has the prefix behind it that is the other's LAN, or becomes part of it. */
async function clash(lab: Lab, prefix: string, route: string | undefined): Promise<ReturnType<typeof fromStatus>> {
  const [a, b] = [await lab.node('cloud1', ['--route', prefix]), await lab.node('office1')];
  try {
    await Promise.all([lab.start(a), lab.start(b)]);
    if (route !== undefined) {
      await lab.statusWhen(b, (report) => report.running && report.members > 1, 15_000);
      await run('office1', 'ip', 'route', 'add', route, 'dev', 'eth0');
    }
    return fromStatus(await lab.statusWhen(b, (report) => codesOf(report).includes('address-conflict')));
  } finally {
    if (route !== undefined) await attempt('office1', ['ip', 'route', 'del', route, 'dev', 'eth0']);
    await Promise.all([lab.stop(a), lab.stop(b)]);
  }
}

/** Two nodes with public addresses; packets of UDP from one to the other are lost on their way. The one that is lost tells. */
async function oneWay(lab: Lab, from: 'cloud1' | 'cloud2', to: 'cloud1' | 'cloud2'): Promise<Named> {
  const nodes = [await lab.node('cloud1'), await lab.node('cloud2')];
  const lost = nodes.find(({ name }) => name === from) as Joined;
  const rule = `chain forward { type filter hook forward priority -10; policy accept; ip saddr ${byName(from).outside} ip daddr ${byName(to).outside} meta l4proto udp drop; }`;
  try {
    return await withRules('inet', rule, async () => {
      await Promise.all(nodes.map((node) => lab.start(node)));
      return fromStatus(await lab.statusWhen(lost, (report) => codesOf(report).includes('path-one-way')));
    });
  } finally {
    await Promise.all(nodes.map((node) => lab.stop(node)));
  }
}

export const NETWORK_FAULTS: readonly Fault[] = [
  {
    name: 'UDP blocked',
    short: true,
    words: /203\.0\.113\.10:3478/,
    variants: [
      {
        what: 'by the router before the node',
        by: 'netcheck',
        codes: ['udp-blocked'],
        run: async (lab) => {
          const node = await lab.node('home1');
          return withRules('nat-home1', NO_UDP_THROUGH, async () => fromNetcheck(await lab.netcheck(node)));
        },
      },
      {
        what: "by the node's own firewall",
        by: 'netcheck',
        codes: ['udp-refused-here'],
        run: async (lab) => {
          const node = await lab.node('home1');
          return withRules('home1', NO_UDP_OUT, async () => fromNetcheck(await lab.netcheck(node)));
        },
      },
    ],
  },
  {
    name: 'firewall dropping one direction',
    words: /UDP from this node to (cloud2-\d+ \(198\.51\.100\.10|cloud1-\d+ \(198\.51\.100\.6):\d+\) is dropped/,
    variants: [
      {
        what: 'from a node to its peer',
        by: 'status',
        codes: ['path-one-way'],
        run: (lab) => oneWay(lab, 'cloud1', 'cloud2'),
      },
      {
        what: 'to a node from its peer, which tells',
        by: 'status',
        codes: ['path-one-way'],
        run: (lab) => oneWay(lab, 'cloud2', 'cloud1'),
      },
    ],
  },
  {
    name: 'DNS away',
    words: /xmpp\.evio\.example[\s\S]*resolv\.conf/,
    variants: [
      {
        what: 'the name server is silent',
        by: 'netcheck',
        codes: ['xmpp-dns'],
        run: (lab) => withoutDns(lab, '192.0.2.250'),
      },
      {
        what: 'nothing listens at the name server',
        by: 'netcheck',
        codes: ['xmpp-dns'],
        run: (lab) => withoutDns(lab, '127.0.0.1'),
      },
    ],
  },
  {
    name: 'MTU hole',
    words: /198\.51\.100\.10:\d+/,
    variants: [
      {
        what: "the far end's link is too small",
        by: 'status',
        codes: ['path-narrow'],
        run: (lab) => narrow(lab, 'far'),
      },
      {
        what: "the node's own link is too small",
        by: 'status',
        codes: ['path-narrow'],
        run: (lab) => narrow(lab, 'own'),
      },
    ],
  },
  {
    name: 'CIDR clash with a LAN',
    words: /10\.20\.0\.0|10\.77\.3\.0/,
    variants: [
      {
        what: "a prefix behind a node is another node's LAN",
        by: 'status',
        codes: ['address-conflict'],
        run: (lab) => clash(lab, '10.20.0.0/24', undefined),
      },
      {
        what: 'a route into such a prefix comes while the node runs',
        by: 'status',
        codes: ['address-conflict'],
        run: (lab) => clash(lab, '10.77.0.0/16', '10.77.3.0/24'),
      },
    ],
  },
];
