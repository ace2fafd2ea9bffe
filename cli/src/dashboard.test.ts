import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ApiServer } from '../../agent/src/io/api-server.ts';
import type { Snapshot } from '../../map/src/feed.ts';
import { startDashboard } from './dashboard.ts';

const STATUS = {
  version: '0.1.0',
  overlay: { id: 'f'.repeat(32), name: 'lab', mtu: 1400 },
  node: { id: '5'.repeat(32), name: 'me', label: '5'.repeat(16), addresses: [] },
  tincan: { version: '0.1.0' },
  signalling: { state: 'online', error: null },
  nat: { class: 'none' },
  problems: [],
  ringComplete: true,
};
const PEER = {
  id: '9'.repeat(32),
  name: 'other',
  kinds: ['successor'],
  path: 'direct',
  local: null,
  remote: null,
  rttMs: 2,
  loss: 0,
  txBytes: 1,
  rxBytes: 1,
  sinceMs: 5,
};

describe('evio dashboard', () => {
  const dir = mkdtempSync(join(tmpdir(), 'evio-dashboard-'));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const options = { runDir: dir, host: '127.0.0.1', port: 0, names: [], traces: false, told: () => undefined };

  it('says in one line that no agent is there', async () => {
    const failure = await startDashboard(options).catch((error: Error) => error.message);
    expect(failure).to.match(/^no agent runs with /);
  });

  it('serves what the agent tells, and the page that shows it', async () => {
    const api = await ApiServer.claim(join(dir, 'agent.sock'), () => undefined);
    api.answerBy(async (method) => (method === 'status' ? STATUS : { peers: [PEER] }));
    const dashboard = await startDashboard(options);
    try {
      const at = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${dashboard.port}${path}`);
      const { model } = (await (await at('/api/map')).json()) as Snapshot;
      expect([model.title, model.self, model.nodes.map(({ name }) => name)]).to.deep.equal([
        'lab',
        'me',
        ['me', 'other'],
      ]);
      expect(model.edges.map(({ a, b, rttMs }) => [a, b, rttMs])).to.deep.equal([['me', 'other', 2]]);
      const page = await (await at('/')).text();
      expect(page)
        .to.contain('<title>Evio map</title>')
        .and.not.match(/<script>|onclick=|style=|https?:\/\/(?!www\.w3\.org)/);
      expect(await (await at('/app.js')).text()).to.contain('api/events');
      // Nobody asked for traces.
      const trace = await fetch(`http://127.0.0.1:${dashboard.port}/api/trace`, { method: 'POST', body: '{}' });
      expect([dashboard.key, trace.status]).to.deep.equal([undefined, 405]);
    } finally {
      dashboard.close();
      api.close();
    }
  });

  it('runs traces for who has the key that it was asked to make, and shows them by their steps', async () => {
    const api = await ApiServer.claim(join(dir, 'agent.sock'), () => undefined);
    const asked: unknown[] = [];
    const hop = { peer: PEER.id, name: 'other', path: 'direct', relayed: false };
    const counted = (counts: object) => ({ counts, cameBy: null, leftBy: hop });
    const source = { id: STATUS.node.id, name: 'me', role: 'source', answered: true, refused: null, next: hop };
    const result = {
      ...{ trace: '0'.repeat(16), from: { name: 'me' }, to: { name: 'other' }, frames: 3, frameBytes: 100 },
      ...{ arrived: true, returned: 3, lost: null, lookups: [] },
      stations: [
        { ...source, there: counted({ read: 3, sent: 3 }), back: counted({ arrived: 3, delivered: 3 }), kernel: null },
      ],
    };
    api.answerBy(async (method, params) => {
      if (method === 'trace') asked.push(params);
      return method === 'status' ? STATUS : method === 'trace' ? result : { peers: [PEER] };
    });
    const dashboard = await startDashboard({ ...options, traces: true });
    try {
      const response = await fetch(`http://127.0.0.1:${dashboard.port}/api/trace`, {
        method: 'POST',
        headers: { authorization: `Bearer ${dashboard.key}` },
        body: JSON.stringify({ from: 'me', to: 'other' }),
      });
      expect(await response.json()).to.deep.equal({
        arrived: true,
        text: 'at other: all were answered',
        fix: null,
        steps: [
          { station: 'me', step: 'evio0 and the switch', there: '3', back: '3' },
          { station: 'me', step: 'session and tunnel to other, direct', there: '3', back: '3' },
        ],
      });
      expect(asked).to.deep.equal([{ from: 'me', to: 'other' }]);
    } finally {
      dashboard.close();
      api.close();
    }
  });
});
