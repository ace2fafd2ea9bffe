import { expect } from 'chai';
import type { Lease } from '../../../agent/src/kube-api/kinds.ts';
import { leaseOf, stateOf } from './lease.ts';
import { LEASE_MS } from './machine.ts';

const metadata = { name: 'l', namespace: 'n', uid: 'u', resourceVersion: '7', creationTimestamp: '' };

describe('a Lease', () => {
  it('that others wrote, or wrote badly, is read as what can be told from it', () => {
    expect(stateOf({ metadata })).to.deep.equal({
      holder: '',
      durationMs: LEASE_MS,
      transitions: 0,
      resourceVersion: '7',
    });
    const spec = { holderIdentity: 'x', leaseDurationSeconds: 0, leaseTransitions: 4 };
    expect(stateOf({ metadata, spec })).to.include({ holder: 'x', durationMs: LEASE_MS, transitions: 4 });
  });

  it('keeps when it was acquired while its holder stays, and marks of others', () => {
    const known: Lease = {
      metadata: { ...metadata, labels: { team: 'a' } },
      spec: { holderIdentity: 'me', acquireTime: '2026-01-01T00:00:00.000000Z' },
    };
    const claim = { holder: 'me', durationMs: LEASE_MS, transitions: 4, acquired: false, resourceVersion: '7' };
    const wall = new Date('2026-02-02T00:00:00.5Z');
    expect(leaseOf('n/l', claim, wall, known)).to.deep.equal({
      metadata: { name: 'l', namespace: 'n', resourceVersion: '7', labels: { team: 'a' } },
      spec: {
        holderIdentity: 'me',
        leaseDurationSeconds: 15,
        leaseTransitions: 4,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: '2026-02-02T00:00:00.500000Z',
      },
    });
    expect(leaseOf('n/l', { ...claim, acquired: true }, wall, known).spec?.acquireTime).to.equal(
      '2026-02-02T00:00:00.500000Z',
    );
  });
});
