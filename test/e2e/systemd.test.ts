/** The units that `evio` writes, under a real systemd: a node's, and the server's. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Machine } from './systemd/machine.ts';
import { hasLink, Lan, pinging, type TermNode, until } from './terminal/lan.ts';

const UNIT = 'evio.service';
const FILE = `/etc/systemd/system/${UNIT}`;

describe('under systemd', function () {
  this.timeout(90_000);
  let lan: Lan;
  let a: TermNode;
  let b: TermNode;
  let machine: Machine;

  before(async () => {
    lan = await Lan.make();
    [a, b] = [lan.a, lan.b];
  });
  beforeEach(async () => {
    machine = await Machine.boot(a.ns);
  });
  afterEach(async () => {
    await machine?.end();
    await lan.clear(a);
    await lan.clear(b);
  });
  after(() => lan?.remove());

  describe('a node, by the unit that evio agent unit prints,', () => {
    const install = async (): Promise<void> => {
      await machine.ok('sh', '-c', `"$1" agent unit --config "$2" >${FILE}`, 'sh', lan.evio, a.file);
      const verified = await machine.run('systemd-analyze', 'verify', FILE);
      expect([verified.code, verified.stderr]).to.deep.equal([0, '']);
      await machine.ok('systemctl', 'daemon-reload');
      await machine.ok('systemctl', 'enable', '--now', UNIT);
    };
    const pids = async () => {
      const { agent, tincan } = await lan.running(a);
      return { agent: agent.pid, tincan: tincan?.pid ?? 0 };
    };
    /** As the machine that looks from outside counts: the status has the numbers of the machine within. */
    const outside = (name: string): Promise<readonly number[]> => lan.pidsOf(a, name);

    it('is started once its interface is there, and speaks to the journal', async () => {
      await install();
      expect(await hasLink(a)).to.equal(true);
      expect(await machine.property(UNIT, 'ActiveState')).to.equal('active');
      expect(await machine.property(UNIT, 'CPUWeight')).to.equal('1000');
      expect(await machine.property(UNIT, 'MainPID')).to.equal(String((await pids()).agent));
      const journal = await machine.journal(UNIT);
      expect(journal).to.match(/info node a \([0-9a-f]{32}\) of overlay lab starts/);
      expect(journal).to.match(/info tincan 0\.1\.0 \(pid \d+\) carries the frames/);
    });

    it('restarted or killed, loses no packet: tincan stays, and systemd starts the agent again', async () => {
      await install();
      lan.start(b);
      await lan.joined();
      const before = await pids();
      const { sent, lost } = await pinging(a, b, async () => {
        await machine.ok('systemctl', 'restart', UNIT);
        expect((await pids()).tincan).to.equal(before.tincan);
        await machine.ok('systemctl', 'kill', '-s', 'KILL', '--kill-whom=main', UNIT);
        await until('another agent runs', 10_000, async () => {
          const now = await lan.status(a).catch(() => undefined);
          return (now !== undefined && now.tincan !== null && now.agent.pid !== before.agent) || undefined;
        });
        await sleep(1_000);
      });
      expect((await pids()).tincan).to.equal(before.tincan);
      expect(Number(await machine.property(UNIT, 'NRestarts'))).to.equal(1);
      expect(sent).to.be.above(200);
      expect(lost).to.equal(0);
    });

    it('stuck, is killed by the watchdog and started again, and loses no packet: tincan stays', async () => {
      await install();
      expect(await machine.property(UNIT, 'WatchdogUSec')).to.equal('1min');
      await machine.ok('mkdir', '-p', `${FILE}.d`);
      await machine.ok('sh', '-c', `printf '[Service]\\nWatchdogSec=3\\n' >${FILE}.d/test.conf`);
      await machine.ok('systemctl', 'daemon-reload');
      await machine.ok('systemctl', 'restart', UNIT);
      lan.start(b);
      await lan.joined();
      const before = await pids();
      // Twice the time without an end: it says that it is not stuck.
      await sleep(6_000);
      expect((await pids()).agent).to.equal(before.agent);
      const { sent, lost } = await pinging(a, b, async () => {
        await machine.ok('kill', '-STOP', String(before.agent));
        await until('another agent runs', 20_000, async () => {
          const now = await lan.status(a).catch(() => undefined);
          return (now !== undefined && now.tincan !== null && now.agent.pid !== before.agent) || undefined;
        });
      });
      expect((await pids()).tincan).to.equal(before.tincan);
      expect(await machine.journal(UNIT)).to.match(/Watchdog timeout/);
      expect(sent).to.be.above(200);
      expect(lost).to.equal(0);
    });

    it('stopped by systemctl, leaves traffic to tincan; evio agent stop ends the rest, and systemd does not start it again', async () => {
      await install();
      await machine.ok('systemctl', 'stop', UNIT);
      expect(await machine.property(UNIT, 'Result')).to.equal('success');
      expect(await hasLink(a)).to.equal(true);
      expect(await outside('tincan')).to.have.length(1);
      await machine.ok(lan.evio, 'agent', 'stop', '--run-dir', a.runDir);
      expect(await hasLink(a)).to.equal(false);

      await machine.ok('systemctl', 'start', UNIT);
      await machine.ok(lan.evio, 'agent', 'stop', '--run-dir', a.runDir);
      await sleep(2_500);
      expect(await machine.property(UNIT, 'ActiveState')).to.equal('inactive');
      expect(await outside('tincan')).to.deep.equal([]);
      expect(await hasLink(a)).to.equal(false);
    });

    it('with a tincan that is killed, has another at once and is not failed', async () => {
      await install();
      const before = await pids();
      const [tincan] = await outside('tincan');
      process.kill(tincan as number, 'SIGKILL');
      await until('another tincan runs', 5_000, async () => {
        const now = await pids().catch(() => undefined);
        return (now !== undefined && now.tincan !== before.tincan) || undefined;
      });
      expect((await pids()).agent).to.equal(before.agent);
      expect(await machine.property(UNIT, 'ActiveState')).to.equal('active');
    });

    it('with a journal that is held, carries on, and is told to end as ever', async () => {
      await install();
      const [journald] = await outside('systemd-journal');
      process.kill(journald as number, 'SIGSTOP');
      try {
        await lan.status(a);
        await machine.ok('systemctl', 'stop', UNIT);
      } finally {
        process.kill(journald as number, 'SIGCONT');
      }
      expect(await machine.property(UNIT, 'Result')).to.equal('success');
    });

    it('with a wrong node file, fails at once, in one line, and is not tried again', async () => {
      await install();
      await machine.ok(lan.evio, 'agent', 'stop', '--run-dir', a.runDir);
      await machine.ok('chmod', '644', a.file);
      try {
        expect((await machine.run('systemctl', 'start', UNIT)).code).to.equal(1);
        await sleep(2_500);
        expect(await machine.property(UNIT, 'ActiveState')).to.equal('failed');
        expect(await machine.property(UNIT, 'NRestarts')).to.equal('0');
        // Of a process as short as this one the journal may not know the unit.
        const line = `${a.file}: it holds a secret and others can use it (mode 0644): run chmod 600 `;
        await until('its line is in the journal', 10_000, async () =>
          (await machine.ok('journalctl', '--no-pager', '-o', 'cat')).includes(line) ? true : undefined,
        );
      } finally {
        await machine.ok('chmod', '600', a.file);
      }
    });
  });

  describe('the server, by evio server init,', () => {
    const COTURN = 'evio-coturn.service';
    it('is refused in one line below /tmp, which its services would not see', async () => {
      const words = [
        'server',
        'init',
        '--domain',
        'evio.example.org',
        '--address',
        '127.0.45.1',
        '--dir',
        '/tmp/evio-unseen/server',
      ];
      const done = await machine.run(lan.evio, ...words);
      expect([done.code, done.stderr]).to.deep.equal([
        2,
        'evio: --dir: /tmp/evio-unseen/server is below /tmp, of which systemd services have their own (PrivateTmp); give another --dir, or --foreground to run the servers without systemd\n',
      ]);
      expect((await machine.run('test', '-e', '/tmp/evio-unseen/server')).code).to.equal(1);
    });

    const init = (...more: readonly string[]) =>
      machine.ok(
        lan.evio,
        ...['server', 'init', '--domain', 'evio.example.org', '--address', '127.0.45.1'],
        // Not under /tmp: the services have one of their own.
        ...['--dir', '/run/evio-server', ...more],
      );

    for (const [xmpp, title, hello] of [
      ['prosody', 'Prosody', /Activated service 's2s'|c2s|Hello and welcome/],
      ['ejabberd', 'ejabberd', /is started in the node nonode@nohost/],
    ] as const) {
      describe(`with ${title},`, () => {
        const services = [`evio-${xmpp}.service`, COTURN] as const;

        it('runs as services that come back when they are killed, and set up again keep running', async () => {
          expect(await init('--xmpp', xmpp)).to.contain(
            `${title} and coturn run as evio-${xmpp}.service and evio-coturn.service`,
          );
          for (const unit of services) {
            expect(await machine.property(unit, 'ActiveState'), unit).to.equal('active');
            expect(await machine.ok('systemctl', 'is-enabled', unit)).to.equal('enabled\n');
            const before = await machine.property(unit, 'MainPID');
            await machine.ok('systemctl', 'kill', '-s', 'KILL', unit);
            await until(`${unit} is back`, 15_000, async () => {
              const now = await machine.property(unit, 'MainPID');
              return (
                (now !== '0' && now !== before && (await machine.property(unit, 'ActiveState')) === 'active') ||
                undefined
              );
            });
            // systemd has the process a moment before it is its user's.
            await until(`${unit} is not root's`, 5_000, async () => {
              const status = await machine.ok('cat', `/proc/${await machine.property(unit, 'MainPID')}/status`);
              const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1];
              return (uid !== undefined && uid !== '0') || undefined;
            });
          }
          expect(await machine.property(COTURN, 'Nice')).to.equal('-10');
          await init();
          for (const unit of services) expect(await machine.property(unit, 'ActiveState'), unit).to.equal('active');
          expect(await machine.journal(services[0])).to.match(hello);
          await machine.ok('systemctl', 'stop', ...services);
          for (const unit of services) expect(await machine.property(unit, 'Result'), unit).to.equal('success');
        });
      });
    }

    it('takes the other XMPP server in the place of the first, which is stopped and stays so', async () => {
      await init();
      await init('--xmpp', 'ejabberd');
      expect(await machine.property('evio-ejabberd.service', 'ActiveState')).to.equal('active');
      expect(await machine.property('evio-prosody.service', 'ActiveState')).to.equal('inactive');
      expect((await machine.run('systemctl', 'is-enabled', 'evio-prosody.service')).code).not.to.equal(0);
    });
  });
});
