/** Who belongs to the overlay changes while it runs: a member is revoked, certificates end, an address is given twice. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Pair, pairName, watch } from '../demo/measure.ts';
import { EVIO, type Joined, peers } from '../demo/overlay.ts';
import { attempt, run, sleep, until } from '../demo/shell.ts';
import {
  agentLog,
  breaking,
  endAgent,
  type Fault,
  type Lab,
  LogMarks,
  node,
  note,
  silentPairs,
  startAgain,
  stop,
  unharmed,
  whole,
  withNode,
  without,
  withoutXmpp,
} from './lab.ts';

/** All of a cut must have happened by then (issue 4). */
const CUT_S = 60;

const others = (lab: Lab, ...names: string[]): readonly Joined[] =>
  lab.nodes.filter((one) => !names.includes(one.name));

async function lists(one: Joined, id: string): Promise<boolean> {
  return (await peers(one)).some((peer) => peer.id === id);
}

/** Pairs whose ping is answered now. */
async function talking(pairs: readonly Pair[]): Promise<readonly Pair[]> {
  const answered = await Promise.all(
    pairs.map(async (pair) => {
      const done = await attempt(pair.from.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', pair.to.ipv4]);
      return done.code === 0 ? [pair] : [];
    }),
  );
  return answered.flat();
}

/** A check: nobody lists the node and no ping crosses, either way, within the limit. Counted from `since`. */
async function cutOff(lab: Lab, name: string, victim: Joined, since: number): Promise<void> {
  const rest = others(lab, victim.name);
  const pairs = rest.flatMap((one) => [
    { from: one, to: victim },
    { from: victim, to: one },
  ]);
  let left: string[] = [];
  const look = async (): Promise<boolean> => {
    left = (await talking(pairs)).map(pairName);
    if (left.length > 0) return false;
    // One after the other: each is a process that takes from the pings what they need.
    for (const one of rest) if (await lists(one, victim.id)) left.push(`${one.name} lists it`);
    return left.length === 0;
  };
  const within = CUT_S * 1_500 - (performance.now() - since);
  const done = await until(name, Math.max(within, 0), look, 1_000).catch(() => false);
  lab.report.atMost(
    `${name}: cut off after${left.length === 0 ? '' : ` (${left.slice(0, 5).join(', ')})`}`,
    done ? (performance.now() - since) / 1000 : Number.POSITIVE_INFINITY,
    CUT_S,
    's',
  );
}

/** A check: exactly one of these lines matches. */
function oneLine(lab: Lab, name: string, lines: readonly string[], what: RegExp): void {
  const found = lines.filter((line) => what.test(line));
  lab.report.holds(name, found.length === 1, found.length === 1 ? 'one line' : `${found.length} lines`, 'one line');
}

const runDirOf = (one: Joined): readonly string[] => ['--run-dir', one.runDir];

/** As an administrator who reads what `evio overlay revoke` printed. */
async function revoke(lab: Lab, name: string, by: Joined): Promise<void> {
  await run('server', EVIO, 'overlay', 'revoke', name, '--overlay', lab.home);
  await run(by.name, EVIO, 'agent', 'revocations', join(lab.home, 'revocations'), ...runDirOf(by));
}

/** Enrols, and puts the new file where the node has its own, with the node's own folders. Gives the node id. */
async function enrolAgain(lab: Lab, one: Joined, ...options: string[]): Promise<string> {
  const old = JSON.parse(readFileSync(one.config, 'utf8')) as Record<string, unknown>;
  const fresh = `${one.config}.new`;
  // The present keys are in the file at --out.
  if (options.includes('--renew')) writeFileSync(fresh, JSON.stringify(old), { mode: 0o600 });
  const args = ['--overlay', lab.home, '--out', fresh, ...options, '-o', 'json'];
  const printed = await run('server', EVIO, 'node', 'enroll', one.name, ...args);
  const file = JSON.parse(readFileSync(fresh, 'utf8')) as Record<string, unknown>;
  writeFileSync(fresh, JSON.stringify({ ...file, runDir: old.runDir, stateDir: old.stateDir }, null, 2));
  renameSync(fresh, one.config);
  return (JSON.parse(printed) as { id: string }).id;
}

/** The next agent takes the file as it is now. */
async function restartAgent(lab: Lab, one: Joined): Promise<void> {
  await endAgent(one);
  startAgain(lab, one);
}

/** A member is revoked while half of the others do not reach the XMPP server. */
async function revoked(lab: Lab): Promise<void> {
  const victim = node(lab, 'home2');
  const away = ['cloud1', 'desk1', 'lte1'];
  breaking(lab, `home2 is revoked, while ${away.join(', ')} do not reach the XMPP server; cloud1 is given the list`);
  const marks = new LogMarks(lab.nodes);
  await withoutXmpp(away, async () => {
    const watched = await watch(lab.pairs, async () => {
      const since = performance.now();
      await revoke(lab, victim.name, node(lab, 'cloud1'));
      await cutOff(lab, 'revoked', victim, since);
      await sleep(10_000);
    });
    note(lab, 'revoked', watched);
    unharmed(lab, 'revoked, the others', without(watched, victim.name));
    oneLine(lab, 'revoked: it says so itself', marks.since(victim), /certificate is revoked/);
    for (const one of others(lab, victim.name))
      oneLine(lab, `revoked: ${one.name} says so`, marks.since(one), /home2 .* no member any more: revoked/);

    const again = new LogMarks(lab.nodes);
    await stop(victim);
    startAgain(lab, victim);
    await sleep(15_000);
    await cutOff(lab, 'revoked and restarted', victim, performance.now());
    oneLine(lab, 'revoked and restarted: it says so again', again.since(victim), /certificate is revoked/);
  });
  await sleep(15_000);
  await cutOff(lab, 'revoked, all see the XMPP server again', victim, performance.now());
  await stop(victim);
  victim.id = await enrolAgain(lab, victim);
  startAgain(lab, victim);
  await whole(lab, 'a revoked node is enrolled again', 20_000);
}

/** One certificate runs out; another one, as short, is renewed in time. */
async function expired(lab: Lab): Promise<void> {
  const lifeS = 75;
  const [ends, renews] = [node(lab, 'home2'), node(lab, 'home1')];
  breaking(lab, `home1 and home2 get certificates for ${lifeS} s; that of home1 is renewed in time`);
  const marks = new LogMarks(lab.nodes);
  const watched = await watch(lab.pairs, async () => {
    const short = performance.now();
    for (const one of [ends, renews]) {
      await enrolAgain(lab, one, '--renew', '--valid', `${lifeS}s`);
      await restartAgent(lab, one);
    }
    await sleep(30_000);
    await enrolAgain(lab, renews, '--renew');
    await restartAgent(lab, renews);
    await sleep(Math.max(0, lifeS * 1_000 - 8_000 - (performance.now() - short)));
    // Two attempts, because a ping that is lost on the way proves nothing.
    const silent = await silentPairs(withEnd(lab, ends), 1_500);
    lab.report.holds(
      'expiry: just before its end it talks to all',
      silent.length === 0,
      silent.map(pairName).join(', ') || 'all',
      'all',
    );
    const end = short + lifeS * 1_000;
    await sleep(Math.max(0, end - performance.now()));
    await cutOff(lab, 'expiry', ends, end);
    await sleep(10_000);
  });
  note(lab, 'expired', watched);
  unharmed(lab, 'expiry, the node renewed in time', withNode(without(watched, ends.name), renews.name));
  unharmed(lab, 'expiry, the others', without(watched, ends.name, renews.name));
  oneLine(lab, 'expiry: the node says so itself', marks.since(ends), /certificate has expired/);
  for (const one of others(lab, ends.name))
    oneLine(lab, `expiry: ${one.name} says so`, marks.since(one), /home2 .* no member any more: expired/);
  await enrolAgain(lab, ends, '--renew');
  await restartAgent(lab, ends);
  await whole(lab, 'an expired certificate is renewed', 15_000);
}

const withEnd = (lab: Lab, one: Joined): readonly Pair[] =>
  lab.pairs.filter(({ from, to }) => from === one || to === one);

/** A second node with the address of the first, newer: as after a restored backup of the address book. */
async function enrolTwin(lab: Lab, first: Joined, host: Joined): Promise<Joined> {
  const place = join(lab.dir, 'nodes', 'twin');
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const config = join(place, `${lab.shape}.json`);
  const bookPath = join(lab.home, 'overlay.json');
  const edit = (addresses: readonly string[]): readonly string[] => {
    const book = JSON.parse(readFileSync(bookPath, 'utf8')) as { nodes: Record<string, { addresses: string[] }> };
    const entry = book.nodes[first.name];
    if (entry === undefined) throw new Error(`the address book has no ${first.name}`);
    const before = entry.addresses;
    entry.addresses = [...addresses];
    writeFileSync(bookPath, JSON.stringify(book, null, 2));
    return before;
  };
  const before = edit([]);
  const args = ['--overlay', lab.home, '--out', config, '--address4', first.ipv4, '-o', 'json'];
  const printed = await run('server', EVIO, 'node', 'enroll', 'twin', ...args);
  edit(before);
  const runDir = join(place, 'run');
  const file = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
  writeFileSync(config, JSON.stringify({ ...file, runDir, stateDir: join(place, 'state') }, null, 2), { mode: 0o600 });
  const { id } = JSON.parse(printed) as { id: string };
  return { name: host.name, id, ipv4: first.ipv4, ipv6: '', config, runDir };
}

/** A check: everybody else has the twin at the address, and not the first. */
async function agreed(lab: Lab, name: string, first: Joined, twin: Joined, rest: readonly Joined[]): Promise<void> {
  const began = performance.now();
  let left: string[] = [];
  const look = async (): Promise<boolean> => {
    const wrong: string[] = [];
    for (const one of rest) {
      const ids = (await peers(one)).map((peer) => peer.id);
      if (!ids.includes(twin.id)) wrong.push(`${one.name} has not the newer`);
      if (ids.includes(first.id)) wrong.push(`${one.name} has the older`);
    }
    const silent = await Promise.all(
      rest.map(async (one) => {
        const to = (await talking([{ from: one, to: twin }])).length === 1;
        const back = (await talking([{ from: twin, to: one }])).length === 1;
        const older = (await talking([{ from: first, to: one }])).length === 1;
        return to && back && !older ? [] : [`${one.name} ${older ? 'talks to the older' : 'hears not the newer'}`];
      }),
    );
    left = [...wrong, ...silent.flat()];
    return left.length === 0;
  };
  const done = await until(name, CUT_S * 1_500, look, 1_000).catch(() => false);
  lab.report.atMost(
    `${name}: the higher serial has the address everywhere after${left.length === 0 ? '' : ` (${left.slice(0, 5).join(', ')})`}`,
    done ? (performance.now() - began) / 1000 : Number.POSITIVE_INFINITY,
    CUT_S,
    's',
  );
}

async function addressTwice(lab: Lab): Promise<void> {
  const [first, host] = [node(lab, 'home1'), node(lab, 'cloud2')];
  const rest = others(lab, first.name, host.name);
  breaking(lab, `a second node, on ${host.name}'s machine, has the address of ${first.name} by a newer certificate`);
  await stop(host);
  const twin = await enrolTwin(lab, first, host);
  const marks = new LogMarks(lab.nodes);
  const pairs = lab.pairs.filter(({ from, to }) => rest.includes(from) && rest.includes(to));
  const watched = await watch(pairs, async () => {
    startAgain(lab, twin);
    await agreed(lab, 'address twice', first, twin, rest);
    await sleep(5_000);
  });
  note(lab, 'address-twice', watched);
  unharmed(lab, 'address twice, the others', watched);
  oneLine(lab, 'address twice: the older says so', marks.since(first), /as well, and its certificate number/);
  oneLine(lab, 'address twice: the newer says so', agentLog(twin), /home1 .* is refused|home1 .* no member any more/);
  for (const one of rest)
    oneLine(lab, `address twice: ${one.name} says so`, marks.since(one), /home1 .* (is refused|no member any more): /);

  breaking(lab, 'the older one comes later');
  await stop(first);
  const again = new LogMarks(lab.nodes);
  startAgain(lab, first);
  await sleep(10_000);
  await agreed(lab, 'address twice, the older comes later', first, twin, rest);
  oneLine(
    lab,
    'address twice, the older comes later: it says so',
    again.since(first),
    /as well, and its certificate number/,
  );

  breaking(lab, 'the newer one is revoked: the older comes back by itself');
  await stop(twin);
  const since = performance.now();
  await revoke(lab, 'twin', node(lab, 'cloud1'));
  await whole(lab, 'address twice, the newer is revoked', 30_000, pairsOf(lab, host.name));
  lab.report.details[`${lab.shape}.address-free`] = (performance.now() - since) / 1000;
  startAgain(lab, host);
  await whole(lab, 'address twice, all are back', 20_000);
  rmSync(join(lab.dir, 'nodes', 'twin'), { recursive: true, force: true });
}

const pairsOf = (lab: Lab, but: string): readonly Pair[] =>
  lab.pairs.filter(({ from, to }) => from.name !== but && to.name !== but);

export const TRUST_FAULTS: readonly Fault[] = [
  { name: 'revoked', shape: 'mesh', short: true, run: revoked },
  { name: 'expired', shape: 'mesh', run: expired },
  { name: 'address-twice', shape: 'mesh', run: addressTwice },
];
