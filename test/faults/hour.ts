/**
 * An hour of random faults, up to three at a time, none on a node that another one works on; then ten quiet minutes. Nothing is
 * judged on the way: at the end every pair talks, and memory and descriptors are what they were.
 *
 * EVIO_HOUR_MINUTES, EVIO_QUIET_MINUTES and EVIO_HOUR_SEED say otherwise.
 */
import { readdirSync } from 'node:fs';
import type { Random } from '../../agent/src/machine.ts';
import { watch } from '../demo/measure.ts';
import { EVIO, pidOf, residentMb, runs, serverPid } from '../demo/overlay.ts';
import { say } from '../demo/report.ts';
import { run, sleep } from '../demo/shell.ts';
import { pick, seeded } from '../sim/random.ts';
import { FLOW_HARMS, LINK_HARMS } from './hands.ts';
import { impaired } from './impair.ts';
import {
  crash,
  endAgent,
  type Fault,
  type Lab,
  node,
  note,
  outageS,
  StuckError,
  signal,
  startAgain,
  whole,
} from './lab.ts';
import { NEW, OLD, readdress, reboot } from './nats.ts';
import { silence, splitInternet, unsilence } from './nodes.ts';

/** Something that breaks and mends. `on`: what it takes for itself; a node's name, `server`, `lines`. */
interface Trouble {
  readonly name: string;
  readonly on: readonly string[];
  run(lab: Lab, random: Random): Promise<void>;
}

const between = (random: Random, low: number, high: number): number => low + random() * (high - low);
const seconds = (random: Random, low: number, high: number): Promise<void> => sleep(between(random, low, high) * 1_000);

/** Held by SIGSTOP. */
async function held(pid: number, random: Random, low: number, high: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  try {
    await seconds(random, low, high);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

function troublesOf(lab: Lab, name: string): readonly Trouble[] {
  const on = [name];
  const one = node(lab, name);
  return [
    {
      name: 'agent restarted',
      on,
      run: async (_, random) => {
        await endAgent(one);
        await seconds(random, 0, 3);
      },
    },
    {
      name: 'agent killed',
      on,
      run: async (_, random) => {
        await signal(one, 'agent', 'SIGKILL');
        await seconds(random, 0, 3);
      },
    },
    { name: 'agent held', on, run: async (_, random) => held(await pidOf(one, 'agent'), random, 1, 40) },
    { name: 'tincan killed', on, run: async () => void (await signal(one, 'tincan', 'SIGKILL')) },
    {
      name: 'tincan exchanged',
      on,
      run: async () => void (await run(one.name, EVIO, 'agent', 'upgrade', '--run-dir', one.runDir)),
    },
    { name: 'tincan held', on, run: async (_, random) => held(await pidOf(one, 'tincan'), random, 1, 15) },
    {
      name: 'power cut',
      on,
      run: async (_, random) => {
        await silence(name);
        try {
          await crash(one);
          await seconds(random, 1, 20);
        } finally {
          await unsilence(name);
        }
      },
    },
    {
      name: 'silence',
      on,
      run: async (_, random) => {
        await silence(name);
        try {
          await seconds(random, 1, 40);
        } finally {
          await unsilence(name);
        }
      },
    },
    {
      name: 'harm by hand',
      on,
      run: async (_, random) => {
        const harm = pick(random, [...LINK_HARMS, ...FLOW_HARMS]);
        say(`  ${name}: ${harm.name}`);
        await harm.harm(one);
      },
    },
  ];
}

const HOME1 = ['home1', 'desk1', 'lines'];
const COMMON: readonly Trouble[] = [
  {
    name: 'XMPP server held',
    on: ['server'],
    run: async (_, random) => held(await serverPid('xmpp'), random, 5, 60),
  },
  {
    name: 'XMPP server killed',
    on: ['server'],
    run: async () => void process.kill(await serverPid('xmpp'), 'SIGKILL'),
  },
  { name: 'coturn held', on: ['server'], run: async (_, random) => held(await serverPid('turn'), random, 1, 20) },
  {
    name: 'coturn killed',
    on: ['server'],
    run: async () => void process.kill(await serverPid('turn'), 'SIGKILL'),
  },
  { name: 'NAT of home1 reboots', on: HOME1, run: () => reboot('nat-home1') },
  { name: 'both NATs of lte1 reboot', on: ['lte1'], run: () => reboot('nat-lte1', 'cgn') },
  {
    name: 'NAT of home1 readdressed, and back',
    on: HOME1,
    run: async (_, random) => {
      await readdress(OLD, NEW, 32);
      try {
        await seconds(random, 5, 30);
      } finally {
        await readdress(NEW, OLD, 30);
      }
    },
  },
  {
    name: 'bad lines',
    on: [...HOME1, 'cloud2'],
    run: async (_, random) => {
      const line = pick(random, [
        { loss: 5 },
        { loss: 20 },
        { delay: 150 },
        { reorder: 10, hold: 5 },
        { duplicate: 5 },
      ]);
      say(`  home1, cloud2: ${JSON.stringify(line)}`);
      await impaired({ home1: line, cloud2: line }, () => seconds(random, 5, 40));
    },
  },
  {
    name: 'the internet splits',
    on: ['lines'],
    run: async (_, random) => splitInternet(() => seconds(random, 5, 40)),
  },
];

interface Sample {
  readonly agentsMb: number;
  readonly tincansMb: number;
  readonly descriptors: number;
}

async function sample(lab: Lab): Promise<Sample> {
  let [agentsMb, tincansMb, descriptors] = [0, 0, 0];
  for (const one of lab.nodes) {
    const [agent, tincan] = [await pidOf(one, 'agent'), await pidOf(one, 'tincan')];
    agentsMb += await residentMb(agent);
    tincansMb += await residentMb(tincan);
    for (const pid of [agent, tincan]) descriptors += readdirSync(`/proc/${pid}/fd`).length;
  }
  return { agentsMb, tincansMb, descriptors };
}

/** As a supervisor would. */
async function supervise(lab: Lab, name: string): Promise<void> {
  const one = lab.nodes.find((candidate) => candidate.name === name);
  if (one !== undefined && !(await runs(one, 'agent'))) startAgain(lab, one);
}

interface Stormed {
  readonly faults: number;
  /** Agents that were told to end and did not. */
  readonly stuck: number;
}

async function storm(lab: Lab, random: Random, untilMs: number): Promise<Stormed> {
  const troubles = [...lab.nodes.flatMap((one) => troublesOf(lab, one.name)), ...COMMON, ...COMMON, ...COMMON];
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  let [faults, stuck] = [0, 0];
  while (performance.now() < untilMs) {
    const trouble = pick(random, troubles);
    if (running.size < 3 && !trouble.on.some((name) => busy.has(name))) {
      for (const name of trouble.on) busy.add(name);
      say(`${trouble.on.join(', ')}: ${trouble.name}`);
      const run = trouble
        .run(lab, random)
        .catch((error: unknown) => {
          // A node that is only just coming back has no process yet to break.
          say(`  ${trouble.name}: could not be done: ${error instanceof Error ? error.message : String(error)}`);
          if (error instanceof StuckError) stuck++;
        })
        .then(async () => {
          for (const name of trouble.on) await supervise(lab, name);
          // It gets a moment before the next one.
          await sleep(4_000);
          for (const name of trouble.on) busy.delete(name);
          running.delete(run);
          faults++;
        });
      running.add(run);
    }
    await seconds(random, 1, 10);
  }
  await Promise.all(running);
  return { faults, stuck };
}

const grewBy = (before: number, after: number): number => ((after - before) / before) * 100;

async function hour(lab: Lab): Promise<void> {
  const minutes = Number(process.env.EVIO_HOUR_MINUTES ?? 60);
  const quietMinutes = Number(process.env.EVIO_QUIET_MINUTES ?? 10);
  const seed = Number(process.env.EVIO_HOUR_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const name = `${minutes} minutes of random faults`;
  // A fresh agent is still growing into its memory.
  await sleep(Math.min(300_000, minutes * 10_000));
  const before = await sample(lab);
  say(`${lab.shape}: ${name}, then ${quietMinutes} quiet; again with EVIO_HOUR_SEED=${seed}`);
  let stormed: Stormed = { faults: 0, stuck: 0 };
  const watched = await watch(
    lab.pairs,
    async () => {
      stormed = await storm(lab, seeded(seed), performance.now() + minutes * 60_000);
    },
    1_000,
  );
  note(lab, name, watched);
  say(`${stormed.faults} faults; the longest outage of a pair was ${outageS(watched)} s`);
  lab.report.details[`${lab.shape}.${name}: seed`] = seed;
  lab.report.atLeast(`${name}: faults`, stormed.faults, minutes * 4, '');
  lab.report.atMost(`${name}: agents that did not end when told to`, stormed.stuck, 0, '');
  await whole(lab, name, 30_000);
  const calm = await sample(lab);
  await sleep(quietMinutes * 60_000);
  await whole(lab, `${name}, ${quietMinutes} quiet ones`, 1_000);
  const after = await sample(lab);
  lab.report.details[`${lab.shape}.${name}: samples`] = { before, calm, after };
  for (const [what, of] of [
    ['memory of all agents', (one: Sample) => one.agentsMb],
    ['memory of all tincans', (one: Sample) => one.tincansMb],
    ['descriptors', (one: Sample) => one.descriptors],
  ] as const)
    lab.report.atMost(
      `${name}: ${what} has grown (${of(before).toFixed(0)}, ${of(calm).toFixed(0)}, ${of(after).toFixed(0)}) by`,
      grewBy(of(before), of(after)),
      5,
      '%',
    );
}

export const HOUR: readonly Fault[] = (['mesh', 'ring'] as const).map((shape) => ({
  name: 'hour',
  shape,
  long: true,
  run: hour,
}));
