import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Client } from '../../../agent/src/kube-api/client.ts';
import { type Event, NODE } from '../../../agent/src/kube-api/kinds.ts';
import { EventWriter } from './recorder.ts';

describe('the writer of Events', () => {
  const metadata = { name: 'a', uid: 'u', resourceVersion: '7', creationTimestamp: '' };
  const note = { type: 'Warning', reason: 'NoAddress', action: 'Allot', note: 'no address left' } as const;

  it('never throws and never waits, whatever the API server does, and cuts what is too long', async () => {
    const created: Event[] = [];
    const outcomes: string[] = [];
    const client = {
      create: async (_: unknown, event: Event) => {
        created.push(event);
        if (created.length === 1) throw new Error('no');
        return event;
      },
    } as unknown as Client;
    const writer = new EventWriter({
      client,
      controller: 'evio.io/evio-operator',
      instance: 'x'.repeat(300),
      observe: (outcome) => outcomes.push(outcome),
    });
    writer.event(NODE, { metadata }, note);
    writer.event(NODE, { metadata }, { ...note, note: 'ü'.repeat(2_000) });
    expect(created).to.have.length.at.most(1);
    await sleep(20);
    expect(outcomes).to.deep.equal(['failed', 'written']);
    expect(created[0]).to.deep.include({ reason: 'NoAddress', type: 'Warning', note: 'no address left' });
    expect(created[0]?.metadata.namespace).to.equal('default');
    expect(created[0]?.reportingInstance).to.have.length(128);
    expect(Buffer.byteLength(created[1]?.note ?? '')).to.be.within(1_000, 1_024);
    expect(created[1]?.note).to.match(/^ü+\.\.\.$/);
  });
});
