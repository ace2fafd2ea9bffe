import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { Failure } from '../failure.ts';
import { kubeletsHere, nameHint, removeNodeIp, withNodeIp, withoutNodeIp, writeNodeIp } from './kubelet.ts';

const IP = ['10.45.0.3'];
/** The assignment that counts: the last one. */
const counts = (text: string): string | undefined => text.match(/^KUBELET_EXTRA_ARGS=.*$/gm)?.at(-1);

describe("the kubelet's --node-ip in kubeadm's file", () => {
  it('comes after what stands there, which is repeated and stays as it is', () => {
    for (const [before, wanted] of [
      ['', 'KUBELET_EXTRA_ARGS="--node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"'],
      ['# by hand\n', 'KUBELET_EXTRA_ARGS="--node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"'],
      ['KUBELET_EXTRA_ARGS=\n', 'KUBELET_EXTRA_ARGS="--node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"'],
      [
        'KUBELET_EXTRA_ARGS=--v=2\n',
        'KUBELET_EXTRA_ARGS="--v=2 --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"',
      ],
      [
        'KUBELET_EXTRA_ARGS="--v=2 --node-ip=192.0.2.1"\n',
        'KUBELET_EXTRA_ARGS="--v=2 --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"',
      ],
      [
        'KUBELET_EXTRA_ARGS=\'--node-labels=a="b"\'\n',
        'KUBELET_EXTRA_ARGS=\'--node-labels=a="b" --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true\'',
      ],
      [
        'KUBELET_EXTRA_ARGS=--v=2 \\\n  --fail-swap-on=false\n',
        'KUBELET_EXTRA_ARGS="--v=2 --fail-swap-on=false --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"',
      ],
      [
        'KUBELET_EXTRA_ARGS=--v=1\nKUBELET_EXTRA_ARGS=--v=2\n',
        'KUBELET_EXTRA_ARGS="--v=2 --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true"',
      ],
    ] as const) {
      const after = withNodeIp(before, IP);
      expect(counts(after), before).to.equal(wanted);
      expect(after.startsWith(before), before).to.equal(true);
    }
  });

  it('has both addresses where the cluster has both families', () => {
    expect(counts(withNodeIp('', ['10.45.0.3', 'fd00::3']))).to.equal(
      'KUBELET_EXTRA_ARGS="--node-ip=10.45.0.3,fd00::3 --node-labels=evio.io/host-package=true"',
    );
  });

  it('written again stands there once, with the new address', () => {
    const twice = withNodeIp(withNodeIp('KUBELET_EXTRA_ARGS=--v=2\n', IP), ['10.45.0.4']);
    expect(counts(twice)).to.equal(
      'KUBELET_EXTRA_ARGS="--v=2 --node-ip=10.45.0.4 --node-labels=evio.io/host-package=true"',
    );
    expect(twice.match(/evio join/g)).to.have.length(2);
  });

  it('taken out, leaves what was there, but for a line break at its end', () => {
    const line = fc.constantFrom('# a', '', 'KUBELET_EXTRA_ARGS=--v=2', 'OTHER="x"', "KUBELET_EXTRA_ARGS='a'");
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.map((one) => `${one}\n`).join('');
        expect(withoutNodeIp(withNodeIp(text, IP))).to.equal(text);
        const open = text.replace(/\n$/, '');
        expect(withoutNodeIp(withNodeIp(open, IP))?.replace(/\n$/, '')).to.equal(open.replace(/\n$/, ''));
        expect(withoutNodeIp(text)).to.equal(undefined);
      }),
    );
  });

  it('leaves what somebody wrote after it', () => {
    const edited = `${withNodeIp('A=1\n', IP)}B=2\n`;
    expect(withoutNodeIp(edited)).to.equal('A=1\nB=2\n');
  });

  it('is not written where what stands there cannot be repeated', () => {
    for (const text of [
      'KUBELET_EXTRA_ARGS="a \\"b\\""\n',
      "KUBELET_EXTRA_ARGS=it's\n",
      'KUBELET_EXTRA_ARGS="it\'s $x"\n',
    ])
      expect(() => withNodeIp(text, IP), text).to.throw(RangeError, 'quotes');
  });
});

describe('the files of kubelets', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'evio-kubelet-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const put = (path: string, text = ''): string => {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
    return root + path;
  };

  it('are found by what is on the machine', () => {
    expect(kubeletsHere(root)).to.deep.equal([]);
    put('/usr/bin/kubelet');
    expect(kubeletsHere(root)).to.deep.equal(['kubeadm']);
    put('/usr/local/bin/k3s');
    expect(kubeletsHere(root)).to.deep.equal(['kubeadm', 'k3s']);
  });

  it('are made, and gone again', () => {
    for (const kind of ['kubeadm', 'k3s'] as const) writeNodeIp(kind, ['10.45.0.3', 'fd00::3'], root);
    const k3s = join(root, 'etc/rancher/k3s/config.yaml.d/evio.yaml');
    expect(readFileSync(k3s, 'utf8').split('\n').slice(1, 4)).to.deep.equal([
      'node-ip: "10.45.0.3,fd00::3"',
      'node-label+:',
      '  - "evio.io/host-package=true"',
    ]);
    expect(statSync(join(root, 'etc/default/kubelet')).mode & 0o777).to.equal(0o644);
    expect(removeNodeIp(root)).to.deep.equal([join(root, 'etc/default/kubelet'), k3s]);
    expect([existsSync(join(root, 'etc/default/kubelet')), existsSync(dirname(k3s))]).to.deep.equal([false, false]);
    expect(removeNodeIp(root)).to.deep.equal([]);
  });

  it('of others are as they were', () => {
    const text = 'KUBELET_EXTRA_ARGS=--v=2\n';
    const kubeadm = put('/etc/default/kubelet', text);
    put('/etc/rancher/k3s/config.yaml.d/mine.yaml', 'x: 1\n');
    const foreign = put('/etc/rancher/k3s/config.yaml.d/evio.yaml', 'node-ip: "192.0.2.1"\n');
    writeNodeIp('kubeadm', IP, root);
    removeNodeIp(root);
    expect(readFileSync(kubeadm, 'utf8')).to.equal(text);
    expect(existsSync(foreign)).to.equal(true);
  });

  it('that cannot be repeated are left alone, with what to do by hand', () => {
    const path = put('/etc/default/kubelet', 'KUBELET_EXTRA_ARGS="a \\"b\\""\n');
    expect(() => writeNodeIp('kubeadm', IP, root)).to.throw(
      Failure,
      `${path}: KUBELET_EXTRA_ARGS has quotes within quotes; add --node-ip=10.45.0.3 --node-labels=evio.io/host-package=true to it by hand`,
    );
    expect(readFileSync(path, 'utf8')).to.equal('KUBELET_EXTRA_ARGS="a \\"b\\""\n');
  });
});

describe('the name of a machine and its kubelet', () => {
  it('is one, or what to do is said', () => {
    expect(nameHint('edge7', 'Edge7')).to.equal(undefined);
    expect(nameHint('edge7', 'edge7.example.org'))
      .to.include('call this machine edge7.example.org')
      .and.include('--node-name edge7');
  });
});
