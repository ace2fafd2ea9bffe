import { expect } from 'chai';
import type { KubeClient } from './kube-client.ts';
import { ClusterWriter } from './kube-writer.ts';
import { createLog } from './log.ts';

interface Asked {
  readonly path: string;
  readonly body: { readonly metadata: { readonly ownerReferences?: readonly { readonly uid: string }[] } };
}

describe('the Lease of a node', () => {
  it('is written once the EvioNode is known that it goes with, and never without it', async () => {
    const leases: Asked[] = [];
    const client = {
      request: async (asked: Asked) => void (asked.path.includes('/leases/') && leases.push(asked)),
    } as unknown as KubeClient;
    const log = createLog({ level: 'error', format: 'text' });
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
      expect(leases.map(({ body }) => body.metadata.ownerReferences?.map(({ uid }) => uid))).to.deep.equal([['first']]);
    } finally {
      writer.stop();
    }
  });
});
