/** `evio authority serve`, `token`, `join` and `leave` against real servers, each party in a network namespace of its own. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { decodeToken, tokenAccountName, tokenId, tokenPassword } from '../../agent/src/wire/join-token.ts';
import { nameHint } from '../../cli/src/join/kubelet.ts';
import { Lab, type Machine } from './join/lab.ts';
import { Machine as SystemdMachine } from './systemd/machine.ts';
import { environment, hasLink, inside, until } from './terminal/lan.ts';

for (const xmpp of ['prosody', 'ejabberd'] as const)
  describe(`joining by token, with ${xmpp}`, function () {
    this.timeout(90_000);
    let lab: Lab;
    let a: Machine;
    let b: Machine;

    before(async () => {
      lab = await Lab.make(xmpp);
      await lab.serve();
    });
    beforeEach(() => {
      [a, b] = [lab.machine('a'), lab.machine('b')];
    });
    afterEach(async () => {
      for (const machine of [a, b]) {
        // What a test left of a member would be in the way of the next one.
        if (existsSync(machine.file)) await lab.command(machine.name, 'leave', '--config', machine.file);
        await lab.clear(machine);
      }
    });
    after(() => lab?.remove());

    /** Asks as a machine that is none of the others. */
    const probe = (token: string) =>
      lab.command('b', 'join', token, '--config', join(lab.dir, 'probe.json'), '--name', 'probe', '--no-start');
    const ended = (token: string, withinMs = 20_000): Promise<string> =>
      until('the account of the token has ended', withinMs, async () => {
        const { stderr } = await probe(token);
        return stderr.includes('does not take the token any more') ? stderr : undefined;
      });
    const lines = ({ stderr }: { readonly stderr: string }): readonly string[] => stderr.split('\n').filter(Boolean);

    it('prints a token that is one line, and nothing else on standard output', async () => {
      const done = await lab.command('authority', 'token', 'create', '--overlay', lab.overlay);
      expect(done.code, done.stderr).to.equal(0);
      expect(done.stdout).to.match(/^evio1\.[-_A-Za-z0-9]+\n$/);
      expect(lines(done)[0]).to.match(
        /^token [0-9a-f]{16} of overlay lab: good once, until 20\S+Z; whoever has it can join$/,
      );
      // The server shows its authority, so that the token need not have it.
      expect(decodeToken(done.stdout).trusted.kind).to.equal('fingerprint');
      expect(done.stdout.length).to.be.below(200);
      expect(statSync(join(lab.overlay, 'tokens.json')).mode & 0o777).to.equal(0o600);
      await lab.ok('authority', 'token', 'revoke', tokenId(decodeToken(done.stdout).secret), '--overlay', lab.overlay);
    });

    it('two machines join, run, and reach each other: their files are theirs alone, with keys that were made there', async () => {
      const said = await lab.joined(a, await lab.token());
      expect(said).to.match(
        new RegExp(
          `^${a.file}: node a of overlay lab, 10\\.45\\.0\\.\\d+/16, fd[0-9a-f:]+/64, valid until 20\\S+Z\nthen: evio agent run --config ${a.file}\n$`,
        ),
      );
      await lab.joined(b, await lab.token(), '--address', '10.45.9.9');
      for (const { file } of [a, b]) expect(statSync(file).mode & 0o777).to.equal(0o600);
      const [one, other] = [loadNodeConfig(a.file), loadNodeConfig(b.file)];
      expect(other.identity.certificate.addresses[0]?.address).to.equal('10.45.9.9');
      expect(Buffer.from(one.identity.seed.reveal()).equals(Buffer.from(other.identity.seed.reveal()))).to.equal(false);
      await lab.run(a);
      await lab.run(b);
      await until('a reaches b over the overlay', 25_000, async () => {
        const ping = await inside(a.ns, 'ping', '-n', '-c', '1', '-W', '1', '10.45.9.9');
        return ping.code === 0 || undefined;
      });
    });

    it('a token is for one machine: its account ends with that, and the next is told so', async () => {
      const token = await lab.token();
      await lab.joined(a, token);
      await ended(token);
      const late = await lab.join(b, token);
      expect([late.code, lines(late)]).to.deep.equal([
        1,
        [
          `evio: ${decodeToken(token).service} does not take the token any more: it was used or revoked; get another one (evio token create)`,
        ],
      ]);
      expect(existsSync(b.file)).to.equal(false);
      expect(existsSync(`${b.file}.join`)).to.equal(false);
    });

    it('of machines that join at one moment by one token one wins', async () => {
      const token = await lab.token();
      const tries = ['c', 'd', 'e', 'f'].map((name) => {
        const file = join(lab.dir, 'a', `${name}.json`);
        return lab.command('a', 'join', token, '--config', file, '--name', name, '--no-start');
      });
      const done = await Promise.all(tries);
      expect(done.map(({ code }) => code).sort()).to.deep.equal([0, 1, 1, 1]);
      for (const { stderr } of done.filter(({ code }) => code === 1))
        expect(stderr).to.match(/^evio: (the token was used already; .*|\S+ does not take the token any more: .*)\n$/);
      for (const [i, { code }] of done.entries())
        if (code === 0) await lab.ok('a', 'leave', '--config', join(lab.dir, 'a', `${['c', 'd', 'e', 'f'][i]}.json`));
    });

    it('a token with several uses is listed with what is left, and with who joined by it', async () => {
      const token = await lab.token('--uses', '2', '--ttl', '10m');
      const id = tokenId(decodeToken(token).secret);
      await lab.joined(a, token);
      const tokenRow = async () => {
        const list = JSON.parse(await lab.ok('authority', 'token', 'list', '--overlay', lab.overlay, '-o', 'json')) as {
          id: string;
          left: number;
          joined: string[];
        }[];
        return list.find((one) => one.id === id);
      };
      expect(await tokenRow()).to.deep.include({ left: 1, joined: ['a'] });
      await lab.joined(b, token);
      expect(await tokenRow()).to.deep.include({ left: 0, joined: ['a', 'b'] });
    });

    it('a token that is revoked is void, and one that is short-lived ends by itself', async () => {
      const revoked = await lab.token();
      await lab.ok('authority', 'token', 'revoke', tokenId(decodeToken(revoked).secret), '--overlay', lab.overlay);
      const done = await lab.join(a, revoked);
      expect(done.stderr).to.match(/^evio: .* does not take the token any more: it was used or revoked; .*\n$/);
      const short = await lab.token('--ttl', '10s');
      await sleep(11_500);
      // Its account may still be there.
      const late = await lab.join(a, short);
      expect(late.stderr).to.match(/^evio: (the token|\S+ does not take the token any more: it) expired at .*\n$/);
      expect(await ended(short)).to.match(/ does not take the token any more: it expired at .*\n$/);
    });

    it('the token may come by standard input, and nobody tells it or what follows from it', async () => {
      const token = await lab.token();
      const script = `printf '%s\\n' "$1" | "$2" join - --config "$3" --run-dir "$4" --name a --no-start`;
      const done = await inside(a.ns, 'sh', '-c', script, 'sh', token, lab.evio, a.file, a.runDir);
      expect(done.code, done.stderr).to.equal(0);
      const { secret } = decodeToken(token);
      const { password } = loadNodeConfig(a.file).signalling;
      const said = done.stdout + done.stderr + lab.log + readFileSync(join(lab.overlay, 'tokens.json'), 'utf8');
      for (const word of [
        token.slice(6),
        tokenPassword(secret),
        password.reveal(),
        Buffer.from(secret).toString('hex'),
        Buffer.from(secret).toString('base64'),
      ])
        expect(said).not.to.include(word);
      expect(lab.log).to.match(
        new RegExp(`info ${tokenAccountName(tokenId(secret))}: node a \\([0-9a-f]{32}\\) joined: `),
      );
    });

    it('a taken name and a taken address cost one line and no use of the token', async () => {
      await lab.joined(a, await lab.token());
      const token = await lab.token();
      const taken = await lab.join(b, token, '--name', 'a');
      expect([taken.code, lines(taken)]).to.deep.equal([
        1,
        ['evio: the overlay has a node a already; give another --name, or revoke that one: evio overlay revoke a'],
      ]);
      const [address] = loadNodeConfig(a.file).identity.certificate.addresses;
      const place = await lab.join(b, token, '--address', address?.address ?? '');
      expect([place.code, lines(place)]).to.deep.equal([
        2,
        [`evio: --address: ${address?.address} belongs to another node; give another address`],
      ]);
      await lab.joined(b, token);
    });

    it('nobody is answered while the authority is away, and all are after it, also when it was killed', async () => {
      const token = await lab.token();
      expect(await lab.endServing()).to.equal(0);
      const nobody = await lab.join(a, token);
      expect([nobody.code, lines(nobody)]).to.deep.equal([
        1,
        [
          'evio: the authority of the overlay does not answer (10 s, service-unavailable); is "evio authority serve" (in a cluster: the operator) running?',
        ],
      ]);
      expect(existsSync(`${a.file}.join`)).to.equal(false);
      await lab.serve();
      await lab.joined(a, token);
      // Killed in the middle of its life, it goes on where it was.
      const next = await lab.token();
      await lab.endServing('SIGKILL');
      await lab.serve();
      await lab.joined(b, next);
    });

    it('a machine that could not write its file runs the same command again: the token is spent, and its keys are answered the same', async () => {
      const token = await lab.token();
      const inTheWay = `${a.file}.new`;
      mkdirSync(inTheWay);
      const failed = await lab.join(a, token);
      expect([failed.code, lines(failed)]).to.deep.equal([
        1,
        [`evio: cannot write ${a.file}: it is a directory; then run the same command again`],
      ]);
      expect(statSync(`${a.file}.join`).mode & 0o777).to.equal(0o600);
      rmdirSync(inTheWay);
      const other = await lab.join(b, token);
      expect(other.stderr).to.equal('evio: the token was used already; make another with: evio token create\n');
      await lab.joined(a, token);
      expect(existsSync(`${a.file}.join`)).to.equal(false);
      const { serial } = loadNodeConfig(a.file).identity.certificate;
      const { nextSerial } = JSON.parse(readFileSync(join(lab.overlay, 'overlay.json'), 'utf8'));
      expect(Number(serial)).to.equal(nextSerial - 1);
      await ended(token);
    });

    it('a machine that leaves is revoked, ends, and leaves nothing behind; it may come again by another token', async () => {
      await lab.joined(a, await lab.token());
      const before = loadNodeConfig(a.file).identity.certificate;
      await lab.run(a);
      expect(await hasLink({ ...a, address: '', log: '' })).to.equal(true);
      const left = await lab.ok('a', 'leave', '--config', a.file);
      expect(left).to.match(
        new RegExp(
          `^node a has left overlay lab\nthe authority has revoked it \\(list number \\d+\\)\nended: the agent \\(pid \\d+\\) and its tincan\nremoved or restored: ${a.file}, ${a.stateDir}, ${a.runDir}\n$`,
        ),
      );
      expect(await hasLink({ ...a, address: '', log: '' })).to.equal(false);
      for (const path of [a.file, a.runDir, a.stateDir]) expect(existsSync(path), path).to.equal(false);
      if (xmpp === 'prosody') await until('its account is gone', 20_000, () => !lab.hasAccount('a.lab') || undefined);
      await lab.joined(a, await lab.token());
      const { revocations } = loadNodeConfig(a.file).overlay;
      expect(revocations?.revoked.some(({ nodeId }) => nodeId === before.nodeId)).to.equal(true);
      expect(loadNodeConfig(a.file).identity.certificate.addresses).to.deep.equal(before.addresses);
    });

    it('a certificate that nears its end is renewed by the node itself while it carries frames; who leaves is told to it', async () => {
      await lab.joined(a, await lab.token());
      await lab.joined(b, await lab.token());
      const { identity } = loadNodeConfig(b.file);
      const before = lab.aged(a, 60, 45);
      await lab.run(a);
      const pid = (await until('it answers', 10_000, () => lab.tincanOf(a))).pid;
      const renewed = await until('a has another certificate', 25_000, () => {
        const { certificate } = loadNodeConfig(a.file).identity;
        return certificate.serial > before.serial ? certificate : undefined;
      });
      expect(renewed).to.deep.include({ nodeId: before.nodeId, addresses: before.addresses });
      expect(renewed.notAfter - before.notAfter).to.be.above(300 * 86_400);
      expect(lab.log).to.match(/ info a\.lab: node a has certificate \d+ until 20\S+Z/);
      expect(await until('it answers again', 10_000, () => lab.tincanOf(a))).to.include({ pid });
      // An hour would go by before it asked by itself.
      expect(await lab.ok('b', 'leave', '--config', b.file)).to.match(/the authority has revoked it/);
      await until(
        'a knows that b is revoked',
        20_000,
        () => lab.revokedAt(a).includes(identity.certificate.nodeId) || undefined,
      );
    });

    it('a machine that leaves while nobody answers says how it is revoked, and goes all the same', async () => {
      await lab.joined(a, await lab.token());
      await lab.endServing();
      const done = await lab.command('a', 'leave', '--config', a.file);
      expect([done.code, done.stdout.split('\n')[1]]).to.deep.equal([
        0,
        'the authority did not revoke it (the authority of the overlay does not answer (10 s, service-unavailable); is "evio authority serve" (in a cluster: the operator) running?): evio overlay revoke a does, there, or in a cluster kubectl delete evionode a',
      ]);
      expect(existsSync(a.file)).to.equal(false);
      await lab.ok('authority', 'overlay', 'revoke', 'a', '--overlay', lab.overlay);
      await lab.serve();
    });

    it('under systemd, starts the unit, waits for the address, writes --node-ip; leaving undoes it', async () => {
      const machine = await SystemdMachine.boot(a.ns);
      try {
        const unit = '/etc/systemd/system/evio.service';
        const text = [
          '[Service]',
          'Type=notify',
          `Environment="PATH=${environment().PATH}"`,
          `ExecStart="${lab.evio}" "agent" "run" "--config" "${a.file}"`,
          'KillMode=process',
          '[Install]',
          'WantedBy=machine.target',
          '',
        ];
        writeFileSync(join(lab.dir, 'evio.service'), text.join('\n'));
        await machine.ok('cp', join(lab.dir, 'evio.service'), unit);
        await machine.ok('mount', '-t', 'tmpfs', 'tmpfs', '/etc/default');
        await machine.ok('sh', '-c', `printf '%s\\n' 'KUBELET_EXTRA_ARGS="--v=2"' >/etc/default/kubelet`);
        const places = ['--config', a.file, '--run-dir', a.runDir, '--state-dir', a.stateDir, '--name', 'a'];
        const token = await lab.token();
        const said = await machine.ok(lab.evio, 'join', token, ...places, '--node-ip', '--kubelet', 'kubeadm');
        expect(said.split('\n').slice(1)).to.deep.equal([
          'evio.service runs it, now and at each boot',
          '/etc/default/kubelet: has --node-ip; a kubelet that runs already has to be restarted',
          nameHint('a', await machine.ok('cat', '/proc/sys/kernel/hostname')),
          '',
        ]);
        const [address] = loadNodeConfig(a.file).identity.certificate.addresses;
        expect(await machine.ok('cat', '/etc/default/kubelet')).to.match(
          new RegExp(
            `^KUBELET_EXTRA_ARGS="--v=2"\n# [^\n]*\nKUBELET_EXTRA_ARGS="--v=2 --node-ip=${address?.address} --node-labels=evio.io/host-package=true"\n# [^\n]*\n$`,
          ),
        );
        expect(await machine.property('evio.service', 'ActiveState')).to.equal('active');
        expect((await machine.ok('systemctl', 'is-enabled', 'evio.service')).trim()).to.equal('enabled');

        const left = await machine.ok(lab.evio, 'leave', '--config', a.file);
        expect(left.split('\n')[2]).to.match(/^ended: evio\.service, tincan \(pid \d+\)$/);
        expect(await machine.ok('cat', '/etc/default/kubelet')).to.equal('KUBELET_EXTRA_ARGS="--v=2"\n');
        expect(await machine.property('evio.service', 'ActiveState')).to.equal('inactive');
        expect(await hasLink({ ...a, address: '', log: '' })).to.equal(false);
      } finally {
        await machine.end();
      }
    });
  });
