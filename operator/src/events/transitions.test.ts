import { expect } from 'chai';
import type { Condition } from '../../../crds/src/condition.ts';
import { transitions } from './transitions.ts';

const condition = (type: string, status: Condition['status'], reason: string, message = ''): Condition => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-12-01T00:00:00Z',
});
const told = (before: readonly Condition[] | undefined, after: readonly Condition[]): readonly string[] =>
  transitions(before, after).map(({ about, type, reason, note }) => `${about} ${type} ${reason} "${note}"`);

const UP = condition('SignallingConnected', 'True', 'Connected');
const DOWN = condition('SignallingConnected', 'False', 'Disconnected', 'cannot reach xmpps://198.51.100.2:5223');
const READY = condition('Ready', 'True', 'Ready');
const ABSENT = condition('Ready', 'False', 'DataPlaneAbsent', 'tincan does not answer');

describe('Events of a node', () => {
  it('tell of a condition that becomes bad with its cause, and when it is good again', () => {
    expect(told([UP], [DOWN])).to.deep.equal([
      'member Warning Disconnected "SignallingConnected: cannot reach xmpps://198.51.100.2:5223"',
    ]);
    expect(told([DOWN], [UP])).to.deep.equal(['member Normal Connected "SignallingConnected: again"']);
  });

  it('tell of readiness at the Node, where people look first', () => {
    expect(told([READY], [ABSENT])).to.deep.equal([
      'node Warning EvioNotReady "Evio: DataPlaneAbsent: tincan does not answer"',
    ]);
    expect(told([ABSENT], [READY])).to.deep.equal([
      'node Normal EvioReady "Evio: traffic of this node and its pods passes again"',
    ]);
  });

  it('tell when the reason is another one, and not when only the words are', () => {
    expect(told([DOWN], [{ ...DOWN, message: 'nothing listens at 198.51.100.2:5223' }])).to.deep.equal([]);
    const other = condition('Ready', 'False', 'EnrolmentInvalid', 'the certificate is revoked');
    expect(told([ABSENT], [other])).to.deep.equal([
      'node Warning EvioNotReady "Evio: EnrolmentInvalid: the certificate is revoked"',
    ]);
  });

  it('tell of addresses that conflict as of something bad', () => {
    const free = condition('AddressConflict', 'False', 'NoConflict');
    const taken = condition('AddressConflict', 'True', 'RouteOverlaps', '10.45.0.0/16 meets the route 10.0.0.0/8');
    expect(told([free], [taken])).to.deep.equal([
      'member Warning RouteOverlaps "AddressConflict: 10.45.0.0/16 meets the route 10.0.0.0/8"',
    ]);
    expect(told([taken], [free])).to.deep.equal(['member Normal NoConflict "AddressConflict: no more"']);
  });

  it('tell nothing of a beginning, nor of what is not known yet, nor of conditions of others', () => {
    expect(told(undefined, [DOWN, ABSENT])).to.deep.equal([]);
    expect(told([UP], [condition('SignallingConnected', 'Unknown', 'Pending')])).to.deep.equal([]);
    expect(told([DOWN], [condition('SignallingConnected', 'Unknown', 'Pending')])).to.deep.equal([]);
    expect(told([condition('Odd', 'True', 'A')], [condition('Odd', 'False', 'B')])).to.deep.equal([]);
  });
});
