/** `evio agent run` as people and service managers start and end it: the shipped files, real terminals, real tincans, one LAN. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Peer } from '../../agent/src/api.ts';
import { TRAFFIC_NICE } from '../../agent/src/io/priority.ts';
import type { Snapshot } from '../../map/src/feed.ts';
import { alive } from '../alive.ts';
import {
  copyDist,
  ended,
  environment,
  hasLink,
  inside,
  Lan,
  pidsIn,
  pinging,
  type TermNode,
  tincanPid,
  until,
} from './terminal/lan.ts';
import { CTRL_C, CTRL_Q, CTRL_S, Terminal } from './terminal/terminal.ts';

describe('evio agent run', function () {
  this.timeout(60_000);
  let lan: Lan;
  let a: TermNode;
  let b: TermNode;

  before(async () => {
    lan = await Lan.make();
    [a, b] = [lan.a, lan.b];
  });
  afterEach(async () => {
    await lan.clear(a);
    await lan.clear(b);
  });
  after(() => lan?.remove());

  const run = (node: TermNode): string => `${lan.evio} agent run --config ${node.file}; echo "code=$?"`;
  const started = async (node: TermNode): Promise<ChildProcess> => {
    const child = lan.start(node);
    await lan.running(node);
    return child;
  };
  const signal = async (child: ChildProcess, name: NodeJS.Signals): Promise<number | string> => {
    child.kill(name);
    return ended(child);
  };

  describe('in a terminal', () => {
    let terminal: Terminal;

    const start = async (before = ''): Promise<void> => {
      terminal = await Terminal.open(a);
      terminal.type(before + run(a));
      await terminal.until('tincan carries the frames', /carries the frames/);
    };
    afterEach(() => terminal?.close());

    it('ends with its tincan on Ctrl-C: one closing line, code 0, no interface left, the terminal as it was', async () => {
      terminal = await Terminal.open(a);
      const settings = await terminal.run('stty -a');
      terminal.type(run(a));
      await terminal.until('tincan carries the frames', /carries the frames/);
      const tincan = tincanPid(a);
      const pressed = performance.now();
      terminal.press(CTRL_C);
      const shown = await terminal.rest();
      expect(performance.now() - pressed).to.be.below(3_000);
      // The server of this suite is away: that may be told in the same moment.
      expect(shown.slice(shown.lastIndexOf('^C'))).to.match(
        /^\^C(\S+ warn signalling: .*\n)?\S+ info stopping, tincan too\ncode=0\n$/,
      );
      expect(alive(tincan)).to.equal(false);
      expect(await hasLink(a)).to.equal(false);
      expect(await hasLink(a, 'evio-tap')).to.equal(false);
      expect(await terminal.run('stty -a')).to.equal(settings);
    });

    it('comes before what else wants the processor, and tincan too, but not the shell', async () => {
      await start();
      const { agent, tincan } = await lan.running(a);
      for (const pid of [agent.pid, tincan?.pid ?? 0])
        for (const thread of readdirSync(`/proc/${pid}/task`))
          expect(getPriority(Number(thread)), `thread ${thread} of ${pid}`).to.equal(TRAFFIC_NICE);
      const group = (pid: number) => readFileSync(`/proc/${pid}/autogroup`, 'utf8');
      if (existsSync('/proc/self/autogroup')) {
        expect(group(tincan?.pid ?? 0)).to.match(/ nice -10$/m);
        expect(group(agent.pid)).to.match(/ nice 0$/m);
      }
    });

    it('ends in the same way when Ctrl-C is pressed again and again', async () => {
      // On a slow machine the last ones are heard by the shell: it shall print the code all the same.
      await start('trap : INT; ');
      for (let i = 0; i < 5; i++) {
        terminal.press(CTRL_C);
        await sleep(50);
      }
      const shown = await terminal.rest();
      expect(shown.match(/stopping/g), shown).to.have.length(1);
      expect(shown).to.match(/code=0\n/);
      expect(await pidsInBut(a, 'bash', 'script')).to.deep.equal([]);
      expect(await hasLink(a)).to.equal(false);
    });

    it('leaves nothing behind when Ctrl-C comes while it starts', async () => {
      for (const afterMs of [0, 20, 60, 150]) {
        terminal = await Terminal.open(a);
        terminal.type(run(a));
        await terminal.until('the first line', /info node a /);
        await sleep(afterMs);
        terminal.press(CTRL_C);
        expect(await terminal.rest()).to.match(/stopping, tincan too\n(.*\n)*code=0\n/);
        await until(`nothing is left, ${afterMs} ms`, 2_000, async () =>
          (await pidsInBut(a, 'bash', 'script')).length === 0 ? true : undefined,
        );
        expect(await hasLink(a), `${afterMs} ms`).to.equal(false);
        terminal.close();
      }
    });

    it('ends alone when the terminal is closed: traffic goes on, and the next agent takes it over', async () => {
      await start();
      const tincan = tincanPid(a);
      const { agent } = await lan.status(a);
      terminal.close();
      await until('the agent ends', 5_000, () => !alive(agent.pid) || undefined);
      expect(alive(tincan)).to.equal(true);
      expect(await hasLink(a)).to.equal(true);
      expect(existsSync(join(a.runDir, 'agent.sock'))).to.equal(false);
      await started(a);
      expect(lan.logOf(a)).to.contain(`(pid ${tincan}) carries the frames`);
    });

    it('outlives its terminal under nohup', async () => {
      terminal = await Terminal.open(a);
      terminal.type(`nohup ${lan.evio} agent run --config ${a.file} >${a.log} 2>&1 &`);
      const { agent } = await lan.running(a);
      terminal.close();
      await sleep(1_500);
      expect(alive(agent.pid)).to.equal(true);
      expect((await lan.status(a)).agent.pid).to.equal(agent.pid);
    });

    it('is not held by a terminal that is (Ctrl-S), and can be stopped', async () => {
      await start();
      terminal.press(CTRL_S);
      await sleep(100);
      const stopped = await lan.command(a, 'agent', 'stop', '--run-dir', a.runDir);
      expect(stopped.code, stopped.stderr).to.equal(0);
      terminal.press(CTRL_Q);
      expect(await terminal.rest()).to.match(/code=0\n/);
    });
  });

  describe('with its output in a pipe', () => {
    const shell = (script: string): ChildProcess =>
      spawn('ip', ['netns', 'exec', a.ns, 'bash', '-c', script, 'bash', lan.evio, a.file], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: environment(),
      });

    it('outlives its reader', async () => {
      const child = shell('"$1" agent run --config "$2" | head -1');
      const { agent } = await lan.running(a);
      await sleep(500);
      expect(alive(agent.pid)).to.equal(true);
      const stopped = await lan.command(a, 'agent', 'stop', '--run-dir', a.runDir);
      expect([stopped.code, stopped.stdout]).to.deep.equal([
        0,
        `node a: the agent (pid ${agent.pid}) and its tincan have ended\n`,
      ]);
      expect(await ended(child)).to.equal(0);
    });

    it('goes on with a reader that does not read', async () => {
      const child = shell('{ head -c 65536 /dev/zero; exec "$1" agent run --config "$2"; } | sleep 30');
      await lan.running(a);
      const stopped = await lan.command(a, 'agent', 'stop', '--run-dir', a.runDir);
      expect(stopped.code, stopped.stderr).to.equal(0);
      child.kill();
    });
  });

  describe('started twice', () => {
    it('says who holds the run directory, ends with 1, and leaves the first alone', async () => {
      await started(a);
      const before = await lan.status(a);
      const second = await lan.command(a, 'agent', 'run', '--config', a.file);
      expect(second.code).to.equal(1);
      expect(second.stdout + second.stderr).to.match(
        new RegExp(
          `^evio: an agent \\(pid ${before.agent.pid}\\) runs already with the run directory ${a.runDir}: stop it with "evio agent stop", or set another runDir\\n$`,
        ),
      );
      const after = await lan.status(a);
      expect([after.agent.pid, after.tincan?.pid]).to.deep.equal([before.agent.pid, before.tincan?.pid]);
    });

    it('says so also of a first that is held and cannot answer', async () => {
      const first = await started(a);
      const { agent } = await lan.status(a);
      process.kill(agent.pid, 'SIGSTOP');
      const second = await lan.command(a, 'agent', 'run', '--config', a.file);
      expect(second.code).to.equal(1);
      expect(second.stderr).to.match(/^evio: an agent that does not answer runs already with the run directory /);
      process.kill(agent.pid, 'SIGCONT');
      await lan.running(a);
      expect(first.exitCode).to.equal(null);
    });

    it('at one moment, over what a crash has left, starts once', async () => {
      await crashed();
      const children = [1, 2, 3, 4].map(() => lan.start(a));
      const { agent } = await lan.running(a);
      await until(
        'three give way',
        10_000,
        () => children.filter((one) => one.exitCode === 1).length === 3 || undefined,
      );
      expect(children.filter((one) => one.exitCode === null).map((one) => one.pid)).to.deep.equal([agent.pid]);
      expect((await lan.status(a)).agent.pid).to.equal(agent.pid);
    });
  });

  /** kill -9 of both: sockets, locks and interfaces are left. */
  async function crashed(): Promise<void> {
    const child = await started(a);
    const pids = [tincanPid(a), (await lan.status(a)).agent.pid];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await ended(child);
    for (const socket of ['agent.sock', 'control.sock', 'switch.sock', 'relay.sock'])
      expect(existsSync(join(a.runDir, socket)), socket).to.equal(true);
    expect(await hasLink(a)).to.equal(true);
  }

  it('starts over the sockets, locks and interfaces that kill -9 of both has left', async () => {
    await crashed();
    const child = await started(a);
    expect(await signal(child, 'SIGINT')).to.equal(0);
    expect(await hasLink(a)).to.equal(false);
    expect(await pidsIn(a.ns)).to.deep.equal([]);
  });

  it('finds its neighbour soon, though a network that is just coming up has lost the first hellos of both', async () => {
    const nft = async (...command: readonly string[]): Promise<void> => {
      for (const { ns } of [a, b]) expect((await inside(ns, 'nft', ...command)).code).to.equal(0);
    };
    await nft('add table ip lost');
    await nft('add chain ip lost out { type filter hook output priority 0; udp dport 6986 drop; }');
    await started(a);
    await started(b);
    await sleep(2_000);
    await nft('delete table ip lost');
    await lan.joined();
  });

  it('tells by evio peers what has come up to the question, not up to the last change of a path', async () => {
    await started(a);
    await started(b);
    await lan.joined();
    const received = async (): Promise<number> => {
      const done = await lan.command(a, 'peers', '--run-dir', a.runDir, '-o', 'json');
      return (JSON.parse(done.stdout) as { readonly peers: readonly Peer[] }).peers[0]?.rxBytes ?? 0;
    };
    const before = await received();
    await inside(a.ns, 'ping', '-n', '-q', '-i', '0.01', '-c', '100', '-s', '1000', b.address);
    expect((await received()) - before).to.be.at.least(100_000);
  });

  it('is shown by evio dashboard: the page, both nodes, the tunnel and what goes through it', async () => {
    await started(a);
    await started(b);
    await lan.joined();
    const child = spawn(lan.evio, ['dashboard', '--run-dir', a.runDir, '--port', '0', '-o', 'json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: environment(),
    });
    try {
      let said = '';
      for await (const part of child.stdout) {
        said += String(part);
        if (said.includes('}')) break;
      }
      const { url } = JSON.parse(said) as { readonly url: string };
      expect(await (await fetch(url)).text()).to.contain('<title>Evio map</title>');
      expect(await (await fetch(`${url}app.js`)).text()).to.contain('api/events');
      const edge = await until('throughput is known', 5_000, async () => {
        const { model } = (await (await fetch(`${url}api/map`)).json()) as Snapshot;
        expect(model.nodes.map(({ name }) => name)).to.have.members(['a', 'b']);
        return model.edges.find(({ bps }) => bps !== null);
      });
      expect(edge).to.include({ a: 'a', b: 'b', state: 'up', path: 'direct' });
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended(child)).to.equal(0);
  });

  for (const [how, name, code] of [
    ['told to end (SIGTERM)', 'SIGTERM', 0],
    ['killed', 'SIGKILL', 'SIGKILL'],
  ] as const)
    it(`${how}, leaves a tincan that carries on and that the next one adopts, without a lost packet`, async () => {
      const child = await started(a);
      await started(b);
      await lan.joined();
      const tincan = tincanPid(a);
      const { sent, lost } = await pinging(a, b, async () => {
        expect(await signal(child, name)).to.equal(code);
        expect(alive(tincan)).to.equal(true);
        await started(a);
        await sleep(3_000);
      });
      expect(tincanPid(a)).to.equal(tincan);
      expect(lan.logOf(a)).to.match(new RegExp(`\\(pid ${tincan}\\) carries the frames, 1 tunnels adopted`));
      expect(sent).to.be.above(100);
      expect(lost).to.equal(0);
    });

  describe('its run directory', () => {
    it('is made, for root alone, when it is missing', async () => {
      expect(existsSync(a.runDir)).to.equal(false);
      await started(a);
      expect(statSync(a.runDir).mode & 0o777).to.equal(0o700);
    });

    it('on a read-only file system, or under a file, is named in one line, with code 1', async () => {
      const readOnly = await inside(
        a.ns,
        'unshare',
        '-m',
        'sh',
        '-c',
        'mkdir -p "$3" && mount -t tmpfs -o ro tmpfs "$3" && exec "$1" agent run --config "$2"',
        'sh',
        lan.evio,
        a.file,
        a.runDir,
      );
      expect([readOnly.code, readOnly.stdout]).to.deep.equal([1, '']);
      expect(readOnly.stderr).to.match(
        new RegExp(
          `^evio: cannot use the run directory ${a.runDir}: the file system is read-only; make it writable for root, or set another runDir\\n$`,
        ),
      );
      expect(await pidsIn(a.ns)).to.deep.equal([]);
    });

    it('deleted while it runs comes back within seconds, and everything still obeys', async () => {
      await started(a);
      const before = await lan.status(a);
      rmSync(a.runDir, { recursive: true });
      for (const name of ['agent.sock', 'control.sock', 'switch.sock', 'relay.sock'])
        await until(`${name} is back`, 7_000, () => existsSync(join(a.runDir, name)) || undefined);
      const after = await lan.status(a);
      expect([after.agent.pid, after.tincan?.pid]).to.deep.equal([before.agent.pid, before.tincan?.pid]);
      const second = await lan.command(a, 'agent', 'run', '--config', a.file);
      expect(second.stderr).to.contain(`an agent (pid ${before.agent.pid}) runs already`);
      expect(lan.logOf(a)).to.match(/warn .*agent.sock was gone and is there again\n/);
      const stopped = await lan.command(a, 'agent', 'stop', '--run-dir', a.runDir);
      expect(stopped.code, stopped.stderr).to.equal(0);
      expect(await pidsIn(a.ns)).to.deep.equal([]);
    });
  });

  describe('evio agent stop', () => {
    const stop = () => lan.command(a, 'agent', 'stop', '--run-dir', a.runDir);

    it('with nothing running says so in one line, with code 1, before and after', async () => {
      mkdirSync(a.runDir);
      const nothing = `evio: no agent runs with ${a.runDir} (there is no agent.sock in it); start it with: evio agent run --config FILE\n`;
      const first = await stop();
      expect([first.code, first.stdout, first.stderr]).to.deep.equal([1, '', nothing]);
      await started(a);
      expect((await stop()).code).to.equal(0);
      const again = await stop();
      expect([again.code, again.stderr]).to.deep.equal([1, nothing]);
    });

    it('ends a tincan whose agent has ended', async () => {
      const child = await started(a);
      const tincan = tincanPid(a);
      await signal(child, 'SIGTERM');
      const done = await stop();
      expect([done.code, done.stdout]).to.deep.equal([0, `no agent ran; its tincan (pid ${tincan}) has ended\n`]);
      expect(await hasLink(a)).to.equal(false);
    });
  });

  describe('upgraded in place', () => {
    const newer = (text: string): string => text.replaceAll(/(["'`])0\.1\.0\1/g, '"0.2.0"');
    after(() => copyDist(lan.dist));

    it('loses no packet, and says that the old tincan carries on; evio agent upgrade exchanges that too', async () => {
      const child = await started(a);
      await started(b);
      await lan.joined();
      const tincan = tincanPid(a);
      const { lost } = await pinging(a, b, async () => {
        copyDist(lan.dist, newer);
        await sleep(300);
        expect(await signal(child, 'SIGTERM')).to.equal(0);
        const status = await started(a).then(() => lan.status(a));
        expect([status.version, status.tincan?.version, status.tincan?.pid]).to.deep.equal(['0.2.0', '0.1.0', tincan]);
        await sleep(500);
      });
      expect(lost).to.equal(0);
      expect(lan.logOf(a).match(/differ: .*/g)).to.deep.equal([
        'differ: traffic goes on with this tincan; "evio agent upgrade" exchanges it, which stops traffic for about a second',
      ]);

      const index = await link(a);
      const exchange = await pinging(a, b, async () => {
        const done = await lan.command(a, 'agent', 'upgrade', '--run-dir', a.runDir);
        expect(done.code, done.stderr).to.equal(0);
        expect(done.stdout).to.equal(`tincan 0.1.0 (pid ${tincan}) gave way to 0.1.0 (pid ${tincanPid(a)})\n`);
        await sleep(2_000);
      });
      expect(tincanPid(a)).not.to.equal(tincan);
      expect(await link(a)).to.equal(index);
      expect(exchange.lost / 100).to.be.below(3);
    });
  });

  async function link(node: TermNode): Promise<string> {
    return (await inside(node.ns, 'cat', '/sys/class/net/evio0/ifindex')).stdout;
  }

  /** What runs there, without what the test itself needs. */
  async function pidsInBut(node: TermNode, ...names: readonly string[]): Promise<readonly string[]> {
    return (await pidsIn(node.ns)).flatMap((pid) => {
      try {
        const name = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
        return names.includes(name) ? [] : [`${name} (${pid})`];
      } catch {
        return [];
      }
    });
  }
});
