import { expect } from 'chai';
import type { Client } from '../kube-api/client.ts';
import type { Kind } from '../kube-api/object.ts';
import { ClusterWriter } from './kube-writer.ts';
import { createLog } from './log.ts';

interface Applied {
  readonly metadata: { readonly ownerReferences?: readonly { readonly uid: string }[] };
}

describe('the Lease of a node', () => {
  it('is written once the EvioNode is known that it goes with, and never without it', async () => {
    const leases: Applied[] = [];
    const client = {
      apply: async (kind: Kind, object: Applied) => void (kind.kind === 'Lease' && leases.push(object)),
    } as unknown as Client;
    const log = createLog({ level: 'error', format: 'text' }, { component: 'agent' });
    const writer = new ClusterWriter(client, { nodeName: 'edge1', namespace: 'evio-system' }, log);
    try {
      writer.start();
      writer.seen(undefined);
      await new Promise(setImmediate);
      expect(leases).to.deep.equal([]);
      writer.seen({ uid: 'first', keyed: false });
      await new Promise(setImmediate);
      writer.seen({ uid: 'first', keyed: true });
      await new Promise(setImmediate);
      expect(leases.map(({ metadata }) => metadata.ownerReferences?.map(({ uid }) => uid))).to.deep.equal([['first']]);
    } finally {
      writer.stop();
    }
  });
});
