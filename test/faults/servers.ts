/** The servers go: the XMPP server held, without its database, with another certificate; coturn held, killed. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { watch } from '../demo/measure.ts';
import { EVIO, initServer, type Joined, peers, serverPid, XMPP, XMPP_TITLE } from '../demo/overlay.ts';
import { attempt, run, sleep, until } from '../demo/shell.ts';
import {
  breaking,
  direct,
  type Fault,
  type Lab,
  LogMarks,
  lostOf,
  node,
  note,
  outageS,
  relayed,
  relayedPair,
  sentOf,
  startAgain,
  whole,
} from './lab.ts';

/** Two nodes of one LAN. */
const NEIGHBOURS = ['home1', 'desk1'] as const;

/** Ends a node in order and takes away what it remembers. */
async function forgetful(one: Joined): Promise<void> {
  await run(one.name, EVIO, 'agent', 'stop', '--run-dir', one.runDir);
  const { stateDir } = JSON.parse(readFileSync(one.config, 'utf8')) as { stateDir: string };
  rmSync(stateDir, { recursive: true });
}

/** Held, not ended: no FIN, no RST, no answers. */
async function xmppAway(lab: Lab): Promise<void> {
  const awayS = lab.short ? 15 : 60;
  breaking(lab, `${XMPP_TITLE} is held (SIGSTOP) for ${awayS} s; ${NEIGHBOURS.join(' and ')} start anew meanwhile`);
  const pid = await serverPid('xmpp');
  const heldAt = performance.now();
  process.kill(pid, 'SIGSTOP');
  try {
    const everybody = await watch(lab.pairs, () => sleep(awayS * 400));
    note(lab, 'XMPP server away', everybody);
    lab.report.none('XMPP server away: packets lost', lostOf(everybody), sentOf(everybody));

    const pair = NEIGHBOURS.map((name) => node(lab, name));
    for (const one of pair) await forgetful(one);
    const others = lab.pairs.filter(({ from, to }) => !pair.includes(from) && !pair.includes(to));
    const between = lab.pairs.filter(({ from, to }) => pair.includes(from) && pair.includes(to));
    const rest = await watch(others, async () => {
      for (const one of pair) startAgain(lab, one);
      await whole(lab, 'XMPP server away: two nodes of one LAN that know nobody talk', 10_000, between);
      await sleep(Math.max(0, awayS * 1000 - (performance.now() - heldAt)));
    });
    lab.report.none('XMPP server away: packets lost by those that stay', lostOf(rest), sentOf(rest));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await whole(lab, 'XMPP server back', 10_000);
}

const ACCOUNT = /signalling: .*refuses the password/;
const JOINED = /signalling: in the room/;

/** Nodes that have not said it by then. */
async function silentAbout(lab: Lab, marks: LogMarks, what: RegExp, withinMs: number): Promise<readonly Joined[]> {
  const missing = () => lab.nodes.filter((one) => !marks.since(one).some((line) => what.test(line)));
  await until('every agent says it', withinMs, async () => missing().length === 0).catch(() => undefined);
  return missing();
}

async function databaseLost(lab: Lab): Promise<void> {
  breaking(lab, `${XMPP_TITLE} is killed and its database deleted; the administrator restores accounts and room`);
  const marks = new LogMarks(lab.nodes);
  const watched = await watch(lab.pairs, async () => {
    process.kill(await serverPid('xmpp'), 'SIGKILL');
    const data = join(lab.server.dir, XMPP, 'data');
    for (const entry of readdirSync(data)) rmSync(join(data, entry), { recursive: true });
    await silentAbout(lab, marks, ACCOUNT, 60_000);
    // Long enough for several attempts, which must not say it again.
    await sleep(35_000);
    const told = lab.nodes.map((one) => marks.since(one).filter((line) => ACCOUNT.test(line)));
    lab.report.holds(
      'XMPP database lost: each agent says so in one line, with what to do',
      told.every((lines) => lines.length === 1 && /evio overlay restore/.test(lines[0] ?? '')),
      told.map((lines) => lines.length).join(' '),
      'one each',
    );

    await initServer(lab.server.dir);
    await run('server', EVIO, 'overlay', 'restore', lab.home);
    const restored = performance.now();
    const silent = await silentAbout(lab, marks, JOINED, 135_000);
    lab.report.atMost(
      `XMPP database restored: every agent is in the room after${silent.map((one) => ` (not ${one.name})`).join('')}`,
      silent.length === 0 ? (performance.now() - restored) / 1000 : Number.POSITIVE_INFINITY,
      90,
      's',
    );
  });
  note(lab, 'XMPP database lost', watched);
  lab.report.none('XMPP database lost and restored: packets lost', lostOf(watched), sentOf(watched));
  await whole(lab, 'XMPP database restored', 5_000);
}

/** SHA-256 of the certificate that the XMPP server shows. */
async function shownCertificate(): Promise<string> {
  const ask = 'openssl s_client -connect 203.0.113.10:5223 -servername evio.example </dev/null 2>/dev/null';
  return (await attempt('server', ['sh', '-c', `${ask} | openssl x509 -noout -fingerprint -sha256`])).stdout.trim();
}

async function certificateChanged(lab: Lab): Promise<void> {
  breaking(lab, `${XMPP_TITLE} gets another certificate of the same authority, and is restarted`);
  const before = await shownCertificate();
  const marks = new LogMarks(lab.nodes);
  const watched = await watch(lab.pairs, async () => {
    await initServer(lab.server.dir);
    process.kill(await serverPid('xmpp'), 'SIGTERM');
    const restarted = performance.now();
    const silent = await silentAbout(lab, marks, JOINED, 45_000);
    lab.report.atMost(
      'XMPP certificate changed: every agent is in the room again after',
      silent.length === 0 ? (performance.now() - restarted) / 1000 : Number.POSITIVE_INFINITY,
      30,
      's',
    );
  });
  const after = await shownCertificate();
  lab.report.holds('XMPP certificate changed: it is another one', before !== '' && after !== '' && before !== after);
  note(lab, 'XMPP certificate changed', watched);
  lab.report.none('XMPP certificate changed: packets lost', lostOf(watched), sentOf(watched));
  await whole(lab, 'XMPP certificate changed', 5_000);
}

/** Pairs that only a relay joins and whose tunnel is not there. */
async function notRelayed(lab: Lab): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const from of lab.nodes)
    for (const peer of await peers(from)) {
      const to = lab.nodes.find((one) => one.id === peer.id);
      if (to !== undefined && relayedPair({ from, to }) && peer.path !== 'webrtc')
        missing.push(`${from.name}-${to.name} is ${peer.path}`);
    }
  return missing;
}

async function coturnGone(lab: Lab, name: string, breaks: (pid: number) => Promise<void>): Promise<void> {
  await until('relayed pairs have their tunnels', 30_000, async () => (await notRelayed(lab)).length === 0, 1_000);
  const watched = await watch(lab.pairs, async () => {
    await breaks(await serverPid('turn'));
    await sleep(3_000);
  });
  const back = performance.now();
  note(lab, name, watched);
  lab.report.atMost(`${name}: longest outage of relayed pairs`, outageS(relayed(watched)), 1.5, 's');
  lab.report.none(`${name}: packets lost by the others`, lostOf(direct(watched)), sentOf(direct(watched)));
  let missing = await notRelayed(lab);
  while (missing.length > 0 && performance.now() - back < 60_000) {
    await sleep(500);
    missing = await notRelayed(lab);
  }
  lab.report.atMost(
    `${name}: relayed pairs are relayed again after${missing.map((one) => ` (${one})`).join('')}`,
    missing.length === 0 ? 3 + (performance.now() - back) / 1000 : Number.POSITIVE_INFINITY,
    30,
    's',
  );
  await whole(lab, name, 5_000);
}

async function coturnHeld(lab: Lab): Promise<void> {
  const awayS = lab.short ? 6 : 20;
  breaking(lab, `coturn is held (SIGSTOP) for ${awayS} s`);
  await coturnGone(lab, 'coturn held', async (pid) => {
    process.kill(pid, 'SIGSTOP');
    try {
      await sleep(awayS * 1000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
}

async function coturnKilled(lab: Lab): Promise<void> {
  breaking(lab, 'coturn is killed with -9, with all allocations, and started again by evio server run');
  await coturnGone(lab, 'coturn killed', async (pid) => {
    process.kill(pid, 'SIGKILL');
    await sleep(17_000);
  });
}

export const SERVER_FAULTS: readonly Fault[] = [
  { name: 'coturn-held', shape: 'mesh', run: coturnHeld },
  { name: 'coturn-killed', shape: 'mesh', run: coturnKilled },
  { name: 'xmpp-away', shape: 'mesh', run: xmppAway },
  { name: 'xmpp-database-lost', shape: 'mesh', run: databaseLost },
  { name: 'xmpp-certificate', shape: 'mesh', run: certificateChanged },
];
