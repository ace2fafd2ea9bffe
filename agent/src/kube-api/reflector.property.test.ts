import { expect } from 'chai';
import fc from 'fast-check';
import { SimulatedClient } from './testing/simulated-client.ts';
import type { SimulatedServer } from './testing/simulated-server.ts';

/** After the last fault: a silent watch (2 min), a long Retry-After or a page without an answer (1 min), back-off (30 s), and again. */
const SETTLE_MS = 10 * 60_000;

type Step = (server: SimulatedServer) => void;

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
const how = fc.constantFrom('reset' as const, 'close' as const);
const lines = fc.constantFrom(
  'garbage',
  '',
  '{"type":"ADDED"}',
  '{"type":"ADDED","object":{"metadata":{"name":"ghost"}}}',
  '{"type":"MODIFIED","object":{"metadata":{"name":"a","uid":"x","resou',
  '{"type":"WHAT","object":{}}',
  '{"type":"BOOKMARK","object":{"metadata":{}}}',
  '{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError"}}',
  '{"type":"ERROR","object":null}',
);
const step = (text: fc.Arbitrary<[string, Step]>) => text;

const steps = fc.oneof(
  { weight: 6, arbitrary: step(name.map((n) => [`put ${n}`, (server) => server.put(n)])) },
  { weight: 3, arbitrary: step(name.map((n) => [`remove ${n}`, (server) => server.remove(n)])) },
  { weight: 2, arbitrary: step(how.map((h) => [`cut ${h}`, (server) => server.cut(h)])) },
  { weight: 1, arbitrary: step(fc.constant(['half-open', (server) => server.halfOpen()])) },
  { weight: 1, arbitrary: step(fc.constant(['compact', (server) => server.compact()])) },
  { weight: 1, arbitrary: step(fc.constant(['back up', (server) => server.backup()])) },
  { weight: 2, arbitrary: step(lines.map((line) => [`say ${line}`, (server) => server.say(line)])) },
  {
    weight: 3,
    arbitrary: step(
      fc.constantFrom('well', 'silent', 'refuses', '429', '500', 'html').map((mood) => [
        `be ${mood}`,
        (server) => {
          server.mood = mood as SimulatedServer['mood'];
        },
      ]),
    ),
  },
  {
    weight: 2,
    arbitrary: step(
      fc
        .tuple(how, fc.constantFrom('nothing' as const, 'to backup' as const, 'everything' as const))
        .map(([h, lost]) => [`restart ${h}, lost ${lost}`, (server) => server.restart(h, lost)]),
    ),
  },
);
/** Mostly right after each other, so that they meet what is on its way. */
const pause = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 100 }) },
  { weight: 3, arbitrary: fc.integer({ min: 100, max: 10_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 700_000 }) },
);

describe('a list and a watch, whatever befalls them', () => {
  it('end as the state of the server, and so does whoever only hears of changes', function () {
    this.timeout(60_000);
    const runs = Number(process.env.EVIO_RUNS ?? 400);
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.tuple(steps, pause), { maxLength: 60 }), (seed, story) => {
        const client = new SimulatedClient(seed);
        client.handle({ kind: 'start' });
        for (const [[, act], ms] of story) {
          act(client.server);
          client.clock.run(ms);
        }
        client.server.mood = 'well';
        client.clock.run(SETTLE_MS);
        expect(client.machine.synced).to.equal(true);
        expect(client.state()).to.deep.equal(client.server.state());
        expect(client.heardState()).to.deep.equal(client.server.state());
        expect(client.wrong).to.deep.equal([]);
      }),
      { numRuns: runs },
    );
  });

  it('never ask for more than the back-off allows', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom('silent', 'refuses', '429', '500', 'html'), (seed, mood) => {
        const client = new SimulatedClient(seed);
        client.handle({ kind: 'start' });
        client.clock.run(1_000);
        client.server.mood = mood as SimulatedServer['mood'];
        client.server.cut('reset');
        client.server.requests = 0;
        client.clock.run(60 * 60_000);
        // One each 15 s at most once the back-off has grown, and some until then.
        expect(client.server.requests).to.be.within(10, 260);
      }),
      { numRuns: 40 },
    );
  });
});
