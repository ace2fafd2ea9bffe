import { expect } from 'chai';
import { judge, type Told } from './judge.ts';
import type { Found, Miss } from './order.ts';

const NODES = ['cp', 'cloud1', 'edge1', 'edge2'];
const LATE = 'no answer within 3 s';

const found = (failed: readonly Miss[], more: Partial<Found> = {}): Found => ({
  step: 'pod4',
  asked: 3,
  failed,
  retried: 0,
  ms: 1_250,
  ...more,
});
const told = (failures: Readonly<Record<string, readonly string[]>>): readonly Told[] =>
  NODES.map((node) => ({ node, found: found((failures[node] ?? []).map((to) => ({ to, why: LATE }))) }));

describe('what a step of the connectivity test says', () => {
  it('passes when every pair reached each other, with the time of the slowest', () => {
    const step = judge(2, 'pod4', [...told({}), { node: 'x', found: found([], { ms: 2_000 }) }], NODES);
    expect(step).to.deep.include({ number: 2, outcome: 'passed', about: '15 pairs', seconds: 2, problems: [] });
  });

  it('names the pair that failed, in its direction', () => {
    const step = judge(2, 'pod4', told({ edge1: ['edge2'] }), NODES);
    expect(step).to.deep.include({ outcome: 'failed', about: '1 of 12 pairs', problems: [`edge1 to edge2: ${LATE}`] });
  });

  it('says which node all failures have in common', () => {
    const step = judge(
      2,
      'pod4',
      told({ cp: ['edge2'], cloud1: ['edge2'], edge1: ['edge2'], edge2: ['cp', 'cloud1', 'edge1'] }),
      NODES,
    );
    expect(step.problems).to.deep.equal([
      `cp to edge2: ${LATE}`,
      `cloud1 to edge2: ${LATE}`,
      `edge1 to edge2: ${LATE}`,
      `edge2 to cp, cloud1, edge1: ${LATE}`,
      'all of these have edge2 in common',
    ]);
  });

  it('blames no node when there are failures without it, nor one of two that only fail with each other', () => {
    for (const failures of [
      { cp: ['edge2'], cloud1: ['edge1'] },
      { edge1: ['edge2'], edge2: ['edge1'] },
    ])
      expect(judge(2, 'pod4', told(failures), NODES).problems.join()).not.to.include('in common');
  });

  it('blames no node when failures were cut away', () => {
    const some = told({ cp: ['edge2'], cloud1: ['edge2'] }).map((one, at) =>
      at === 0 ? { ...one, found: found([{ to: 'edge2', why: LATE }], { more: 2 }) } : one,
    );
    const step = judge(2, 'pod4', some, NODES);
    expect(step.about).to.equal('4 of 12 pairs');
    expect(step.problems).to.include('cp: 2 more');
    expect(step.problems.join()).not.to.include('in common');
  });

  it('knows the node of a NodePort', () => {
    const of = (node: string): Told => ({
      node,
      found: found([{ to: '10.45.0.4:30001 of edge2', why: LATE }], { step: 'node-port' }),
    });
    expect(judge(8, 'node-port', [of('cp'), of('edge1')], NODES).problems.at(-1)).to.equal(
      'all of these have edge2 in common',
    );
  });

  it('fails by a pod that never asked, and says why', () => {
    const step = judge(2, 'pod4', [...told({}).slice(1), { node: 'cp', found: undefined, why: 'ErrImagePull' }], NODES);
    expect(step.outcome).to.equal('failed');
    expect(step.problems).to.deep.equal(['cp: its pod did not ask: ErrImagePull']);
  });

  it('is skipped, with the reason, when there was nothing to ask', () => {
    const step = judge(3, 'pod6', [{ node: 'cp', found: found([], { step: 'pod6', asked: 0 }) }], ['cp']);
    expect(step).to.deep.include({ outcome: 'skipped', about: 'no two pods with IPv6' });
  });

  it('passes with a note when a try was not enough', () => {
    const step = judge(2, 'pod4', [{ node: 'cp', found: found([], { retried: 1 }) }], NODES);
    expect(step).to.deep.include({ outcome: 'passed', notes: ['1 of 3 needed more than one try'] });
  });
});
