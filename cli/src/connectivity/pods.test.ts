import { expect } from 'chai';
import type { Node, Pod } from '../../../agent/src/kube-api/kinds.ts';
import { answeringName, answeringPod, askingPod, namespaceOf } from './manifests.ts';
import { hasEnded, isReady, lastWords, nodeTrouble, podTrouble, targetOf } from './pods.ts';

const pod = (status: object): Pod => ({ metadata: {}, status }) as unknown as Pod;
const node = (status: object): Node => ({ metadata: { name: 'edge1' }, status }) as unknown as Node;
const state = (value: object, phase = 'Pending'): Pod => pod({ phase, containerStatuses: [{ state: value }] });

describe('what the API server says of the pods of a connectivity test', () => {
  it('is why a pod does not run: its image, its program, its node', () => {
    expect(podTrouble(state({ waiting: { reason: 'ErrImageNeverPull', message: 'no\nimage' } }))).to.equal(
      'ErrImageNeverPull: no; image',
    );
    expect(podTrouble(state({ terminated: { exitCode: 137, reason: 'OOMKilled' } }))).to.equal(
      'its program ended with 137 (OOMKilled)',
    );
    expect(podTrouble(pod({ phase: 'Failed', reason: 'OutOfpods', message: 'too many' }))).to.equal(
      'OutOfpods: too many',
    );
    expect(podTrouble(pod({ phase: 'Pending' }))).to.equal('it is Pending: no kubelet has taken it up');
    expect(podTrouble(state({ terminated: { exitCode: 2, message: 'evio: unknown here: answer' } }))).to.match(
      /different versions/,
    );
  });

  it('is whether it answers, whether it has ended, and what it left', () => {
    expect(isReady(pod({ conditions: [{ type: 'Ready', status: 'True' }] }))).to.equal(true);
    expect(isReady(pod({ conditions: [{ type: 'Ready', status: 'False' }] }))).to.equal(false);
    expect(hasEnded(pod({ phase: 'Succeeded' }))).to.equal(true);
    expect(hasEnded(pod({ phase: 'Running' }))).to.equal(false);
    expect(lastWords(state({ terminated: { exitCode: 0, message: 'words' } }))).to.equal('words');
  });

  it('is why a node takes no part', () => {
    const ready = (status: string) =>
      node({ conditions: [{ type: 'Ready', status, reason: 'KubeletNotReady', message: 'cni' }] });
    expect(nodeTrouble(ready('True'))).to.equal(undefined);
    expect(nodeTrouble(ready('False'))).to.equal('the Node is not Ready (KubeletNotReady: cni)');
    expect(nodeTrouble(node({}))).to.equal('the Node is not Ready');
  });

  it('is where pods and nodes are, IPv4 first', () => {
    const of = node({
      addresses: [
        { type: 'Hostname', address: 'x' },
        { type: 'InternalIP', address: 'fd45::1' },
        { type: 'InternalIP', address: '10.45.0.1' },
      ],
    });
    expect(targetOf(of, pod({ podIPs: [{ ip: 'fd00::2' }, { ip: '10.244.0.2' }] }))).to.deep.equal({
      node: 'edge1',
      pod: ['10.244.0.2', 'fd00::2'],
      host: ['10.45.0.1', 'fd45::1'],
    });
  });
});

describe('the pods of a connectivity test', () => {
  it('run on the node they are for, have no credential and no right', () => {
    for (const { spec } of [
      answeringPod('ns', 'edge1', 'i'),
      askingPod('ns', 'edge1', 'i', 'pod'),
      askingPod('ns', 'edge1', 'i', 'host'),
    ]) {
      expect(spec).to.deep.include({ nodeName: 'edge1', automountServiceAccountToken: false, restartPolicy: 'Never' });
      expect(spec?.containers?.[0]?.securityContext).to.deep.include({
        runAsNonRoot: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it('have names that Kubernetes takes, also on nodes with long ones', () => {
    const name = answeringName(`${'a'.repeat(244)}.example.org`);
    expect(name).to.match(/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/);
    expect(name.length).to.be.at.most(253);
  });

  it('are in a namespace that says whose it is', () => {
    expect(namespaceOf('x').metadata.labels).to.include({ 'app.kubernetes.io/component': 'connectivity-test' });
  });
});
