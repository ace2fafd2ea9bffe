import { expect } from 'chai';
import type { EdgeKind } from '../api.ts';
import type { Instant } from '../machine.ts';
import { ANSWER_TIMEOUT_MS, BATCH_MS, GATHER_MS, PROCEED_MS, REPEAT_MS } from './connection.ts';
import { EDGE_MS, PARK_AFTER_MS, STALL_MS, Tunnel, YIELD_MS } from './machine.ts';
import { MAX_SILENT_RETRY_MS } from './retry.ts';
import type { TunnelAction, TunnelBody, TunnelEvent, TunnelPath } from './types.ts';

const LOW = '11111111111111111111111111111111';
const HIGH = 'ffffffffffffffffffffffffffffffff';
const LATENCY_MS = 20;
const SDP = 'aKjc wHT5fUA7CZfCiMirju2uus q83';
const CANDIDATE = '1 1 192.0.2.1 9 h';

/** Two tunnels' machines, a signalling server between them, and WebRTC that always works unless told otherwise. */
class World {
  now: Instant = 0;
  readonly ends: Record<'low' | 'high', Tunnel>;
  readonly log: string[] = [];
  readonly closed = new Set<string>();
  readonly offers: string[] = [];
  lastTunnel = '';
  lastSdp = '';
  online = true;
  webrtcWorks = true;
  /** Which messages are lost. */
  loses: (from: 'low' | 'high', body: TunnelBody) => boolean = () => false;
  #queue: { at: Instant; run: () => void }[] = [];
  #seed = 7;

  constructor() {
    const random = () => {
      this.#seed = (this.#seed * 1103515245 + 12345) % 2 ** 31;
      return this.#seed / 2 ** 31;
    };
    this.ends = {
      low: new Tunnel({ self: LOW, peer: HIGH, random }),
      high: new Tunnel({ self: HIGH, peer: LOW, random }),
    };
  }

  give(end: 'low' | 'high', event: TunnelEvent): readonly TunnelAction[] {
    const actions = this.ends[end].handle(event, this.now);
    for (const action of actions) this.#perform(end, action);
    return actions;
  }

  meet(kinds: { low?: EdgeKind[]; high?: EdgeKind[] } = { low: ['successor'], high: ['predecessor'] }): void {
    for (const end of ['low', 'high'] as const) {
      this.give(end, { kind: 'contact', reachable: true, boot: `boot-${end}` });
      const wanted = kinds[end];
      if (wanted !== undefined) this.give(end, { kind: 'want', kinds: wanted });
    }
  }

  path(path: TunnelPath): void {
    this.give('low', { kind: 'path', path });
    this.give('high', { kind: 'path', path });
  }

  run(forMs: number): void {
    const end = this.now + forMs;
    for (;;) {
      const next = Math.min(
        ...this.#queue.map((item) => item.at),
        this.ends.low.deadline() ?? Infinity,
        this.ends.high.deadline() ?? Infinity,
      );
      if (next > end) break;
      this.now = Math.max(next, this.now);
      const due = this.#queue.filter((item) => item.at <= this.now);
      this.#queue = this.#queue.filter((item) => item.at > this.now);
      for (const item of due) item.run();
      for (const side of ['low', 'high'] as const)
        if ((this.ends[side].deadline() ?? Infinity) <= this.now) this.give(side, { kind: 'deadline' });
    }
    this.now = end;
  }

  states(): readonly string[] {
    return [this.ends.low.state, this.ends.high.state];
  }

  /** As the overlay does it: an offer makes a tunnel that is there for the peer's sake. */
  #arrive(end: 'low' | 'high', body: TunnelBody): void {
    if (body.type === 'offer' && this.ends[end].state === 'idle')
      this.give(end, { kind: 'want', kinds: this.ends[end].mine });
    this.give(end, { kind: 'body', body });
  }

  #later(delayMs: number, run: () => void): void {
    this.#queue.push({ at: this.now + delayMs, run });
  }

  #perform(end: 'low' | 'high', action: TunnelAction): void {
    const other = end === 'low' ? 'high' : 'low';
    this.log.push(`${end} ${action.kind === 'send' ? `send ${action.body.type}` : action.kind}`);
    switch (action.kind) {
      case 'send': {
        const { body } = action;
        if (body.type === 'offer') {
          this.offers.push(end);
          this.lastTunnel = body.tunnel;
          this.lastSdp = body.sdp;
        }
        if (this.online && !this.loses(end, body)) this.#later(LATENCY_MS, () => this.#arrive(other, body));
        return;
      }
      case 'rtc-offer':
      case 'rtc-answer': {
        const { tunnel } = action;
        const type = action.kind === 'rtc-offer' ? 'offer' : 'answer';
        this.#later(2, () => {
          this.give(end, { kind: 'described', tunnel, type, sdp: SDP });
          this.give(end, { kind: 'local-candidate', tunnel, candidate: CANDIDATE });
        });
        return;
      }
      case 'rtc-accept': {
        const { tunnel } = action;
        if (!this.webrtcWorks) return;
        this.#later(50, () => {
          if (this.closed.has(`low ${tunnel}`) || this.closed.has(`high ${tunnel}`)) return;
          this.give('low', { kind: 'rtc-open', tunnel });
          this.give('high', { kind: 'rtc-open', tunnel });
        });
        return;
      }
      case 'rtc-close':
        this.closed.add(`${end} ${action.tunnel}`);
        return;
      default:
        return;
    }
  }
}

/** The higher node has offered in vain for ten minutes. */
function silent(): World {
  const world = new World();
  world.online = false;
  world.meet({ high: ['successor'] });
  world.run(600_000);
  return world;
}

describe('a tunnel', () => {
  it('opens when both ends want it, and only the higher one offers', () => {
    const world = new World();
    world.meet();
    world.run(400);
    expect(world.states()).to.deep.equal(['open', 'open']);
    expect(world.offers).to.deep.equal(['high']);
    expect(world.ends.low.openConnection).to.equal(world.ends.high.openConnection);
  });

  it('opens when only the lower end wants it, and tells the other for what', () => {
    const world = new World();
    world.meet({ low: ['on-demand'] });
    world.run(YIELD_MS + 400);
    expect(world.states()).to.deep.equal(['open', 'open']);
    expect(world.ends.high.theirs).to.deep.equal(['on-demand']);
  });

  it('gives tincan the tunnel before anything else', () => {
    const world = new World();
    world.give('high', { kind: 'contact', reachable: true, boot: 'b' });
    const actions = world.give('high', { kind: 'want', kinds: ['successor'] });
    expect(actions.map((action) => action.kind)).to.deep.equal(['tincan-add']);
  });

  it('sends what ICE found at once inside the offer, and the rest once the answer is there', () => {
    const world = new World();
    world.meet({ high: ['successor'] });
    world.run(GATHER_MS + 10);
    const tunnel = world.lastTunnel;
    expect(world.lastSdp).to.equal(`${SDP},${CANDIDATE}`);
    world.give('high', { kind: 'local-candidate', tunnel, candidate: '2 1 192.0.2.1 9 s' });
    expect(world.log).to.not.include('high send candidates');
    world.give('high', { kind: 'body', body: { type: 'answer', tunnel, sdp: SDP, udp: [] } });
    expect(world.log.filter((line) => line === 'high send candidates')).to.have.length(1);
  });

  it('does not check the peer before its own answer has arrived there', () => {
    const world = new World();
    world.give('low', { kind: 'contact', reachable: true, boot: 'boot-high' });
    world.give('low', { kind: 'want', kinds: [] });
    world.give('low', { kind: 'body', body: { type: 'offer', tunnel: 'a'.repeat(16), sdp: SDP, udp: [], kinds: [] } });
    world.online = false;
    world.run(GATHER_MS + 10);
    expect(world.log).to.include('low send answer').and.not.include('low rtc-proceed');
    world.give('low', {
      kind: 'body',
      body: { type: 'candidates', tunnel: 'a'.repeat(16), candidates: [CANDIDATE] },
    });
    expect(world.log.slice(-2)).to.deep.equal(['low rtc-proceed', 'low rtc-candidate']);
  });

  it('checks the peer after a second although it heard no candidate', () => {
    const world = new World();
    world.give('low', { kind: 'contact', reachable: true, boot: 'boot-high' });
    world.give('low', { kind: 'want', kinds: [] });
    world.give('low', { kind: 'body', body: { type: 'offer', tunnel: 'a'.repeat(16), sdp: SDP, udp: [], kinds: [] } });
    world.online = false;
    world.run(GATHER_MS + PROCEED_MS + 10);
    expect(world.log).to.include('low rtc-proceed');
  });

  it('settles two offers that cross: the one of the higher node stands', () => {
    const world = new World();
    world.give('low', { kind: 'contact', reachable: true, boot: 'boot-low' });
    world.give('low', { kind: 'want', kinds: ['successor'] });
    world.run(YIELD_MS - 10);
    world.give('high', { kind: 'contact', reachable: true, boot: 'boot-high' });
    world.give('high', { kind: 'want', kinds: ['predecessor'] });
    world.run(1_000);
    expect(world.offers.toSorted()).to.deep.equal(['high', 'low']);
    expect(world.states()).to.deep.equal(['open', 'open']);
    expect(world.ends.low.openConnection).to.equal(world.ends.high.openConnection);
    expect(world.ends.high.theirs).to.deep.equal(['successor']);
  });

  for (const [lost, type] of [
    ['the offer', 'offer'],
    ['the answer', 'answer'],
  ] as const)
    for (const wanted of [{ high: ['successor'] }, { low: ['successor'], high: ['predecessor'] }] as const)
      it(`opens within two seconds although ${lost} was lost, where ${Object.keys(wanted).join(' and ')} wants it`, () => {
        const world = new World();
        let losses = 0;
        world.loses = (_, body) => body.type === type && losses++ === 0;
        world.meet({ ...('low' in wanted && { low: ['successor'] }), high: [...wanted.high] });
        world.run(GATHER_MS + REPEAT_MS + GATHER_MS + 500);
        expect(losses).to.be.greaterThan(0);
        expect(world.states()).to.deep.equal(['open', 'open']);
        expect(world.ends.low.openConnection).to.equal(world.ends.high.openConnection);
      });

  it('says nothing again that was answered', () => {
    const world = new World();
    world.webrtcWorks = false;
    world.meet({ high: ['successor'] });
    world.run(GATHER_MS + REPEAT_MS * 3);
    expect(world.offers).to.deep.equal(['high']);
    expect(world.log.filter((line) => line.includes('send answer'))).to.have.length(1);
  });

  it('offers again every few seconds as long as the peer answers and no connection comes of it', () => {
    const world = new World();
    world.webrtcWorks = false;
    world.meet({ high: ['successor'] });
    world.run(60_000);
    expect(world.offers.length).to.be.within(4, 14);
    expect(world.ends.high.deadline()).to.be.at.most(world.now + 15_000);
  });

  it('is offered ever more rarely to a peer that never answers', () => {
    const world = silent();
    const offers = world.offers.length;
    expect(offers).to.be.within(15, 20);
    // The longest pause there is, and an offer's own patience.
    world.run(1.25 * MAX_SILENT_RETRY_MS + ANSWER_TIMEOUT_MS);
    expect(world.offers.length - offers).to.be.within(1, 2);
  });

  const SIGNS: Readonly<Record<string, TunnelEvent>> = {
    'a new boot of it': { kind: 'contact', reachable: true, boot: 'boot-low-2' },
    'a message of it': { kind: 'body', body: { type: 'edge', kinds: [] } },
    'a late answer of it': { kind: 'body', body: { type: 'answer', tunnel: '0'.repeat(16), sdp: SDP, udp: [] } },
    'another sign of it': { kind: 'heard' },
    'addresses of our own that changed': { kind: 'local-udp', addresses: ['192.0.2.7:20000'] },
  };
  for (const [sign, event] of Object.entries(SIGNS)) {
    it(`is offered at once to a peer that was silent for long, by ${sign}`, () => {
      const world = silent();
      // Between two offers.
      while (world.ends.high.state !== 'idle') world.run(500);
      world.online = true;
      world.give('high', event);
      world.run(400);
      expect(world.states()).to.deep.equal(['open', 'open']);
    });

    it(`gives up an offer that nobody answered yet for a new one, by ${sign}`, () => {
      const world = silent();
      while (world.ends.high.state !== 'offering') world.run(500);
      world.run(GATHER_MS);
      world.online = true;
      world.give('high', event);
      world.run(400);
      expect(world.states()).to.deep.equal(['open', 'open']);
    });
  }

  it('is offered at once to a silent peer that can be reached again', () => {
    const world = silent();
    while (world.ends.high.state !== 'idle') world.run(500);
    world.give('high', { kind: 'contact', reachable: false, boot: 'boot-low' });
    world.run(120_000);
    world.online = true;
    world.give('high', { kind: 'contact', reachable: true, boot: 'boot-low' });
    world.run(400);
    expect(world.states()).to.deep.equal(['open', 'open']);
  });

  it('keeps an offer that is under way when the peer is heard for the first time', () => {
    const world = new World();
    world.online = false;
    world.meet({ high: ['successor'] });
    world.run(GATHER_MS + 10);
    expect(world.give('high', { kind: 'heard' })).to.deep.equal([]);
    expect(world.ends.high.state).to.equal('offering');
  });

  it('is offered by the other end after every two failures: only who answers has a relay', () => {
    const world = new World();
    world.webrtcWorks = false;
    world.meet();
    world.run(60_000);
    expect(world.offers).to.deep.equal(['high', 'high', 'low', 'low', 'high', 'high']);
  });

  it('makes no offer to a peer that cannot be reached, and one at once when it can', () => {
    const world = new World();
    world.give('high', { kind: 'want', kinds: ['successor'] });
    world.run(60_000);
    expect(world.offers).to.deep.equal([]);
    world.give('high', { kind: 'contact', reachable: true, boot: 'b' });
    world.run(GATHER_MS + 10);
    expect(world.offers).to.deep.equal(['high']);
  });

  it('parks the WebRTC connection when the direct path has been stable', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.path('webrtc');
    world.path('direct');
    world.run(PARK_AFTER_MS - 1_000);
    expect(world.states()).to.deep.equal(['open', 'open']);
    world.run(2_000);
    expect(world.states()).to.deep.equal(['parked', 'parked']);
    expect(world.log).to.include('high send bye');
  });

  it('makes the connection anew when a parked tunnel loses the direct path', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.path('direct');
    world.run(PARK_AFTER_MS + 1_000);
    world.path('none');
    world.run(400);
    expect(world.states()).to.deep.equal(['open', 'open']);
  });

  it('does not begin a WebRTC connection when the direct path is there first', () => {
    const world = new World();
    world.give('low', { kind: 'contact', reachable: true, boot: 'boot-low' });
    world.give('low', { kind: 'want', kinds: ['successor'] });
    world.run(100);
    world.give('low', { kind: 'path', path: 'direct' });
    world.run(60_000);
    expect(world.offers).to.deep.equal([]);
    expect(world.ends.low.state).to.equal('parked');
    expect(world.ends.high.theirs).to.deep.equal(['successor']);
  });

  it('replaces a connection over which nothing arrives', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.path('webrtc');
    const first = world.ends.high.openConnection;
    world.give('high', { kind: 'path', path: 'none' });
    world.run(STALL_MS + 2_000);
    expect(world.ends.high.openConnection).to.not.equal(undefined);
    expect(world.ends.high.openConnection).to.not.equal(first);
    expect(world.ends.low.openConnection).to.equal(world.ends.high.openConnection);
  });

  it('replaces its half when the peer comes back with another boot nonce', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.path('webrtc');
    const first = world.ends.high.openConnection;
    world.give('high', { kind: 'contact', reachable: true, boot: 'boot-low-2' });
    world.run(400);
    expect(world.ends.high.openConnection).to.not.equal(first);
    expect(world.states()).to.deep.equal(['open', 'open']);
  });

  it('keeps the direct path of a peer whose agent came back, and tells it what the edge is for', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.path('direct');
    world.run(PARK_AFTER_MS + 1_000);
    const actions = world.give('high', { kind: 'contact', reachable: true, boot: 'boot-low-2' });
    expect(actions).to.deep.equal([{ kind: 'send', body: { type: 'edge', kinds: ['predecessor'] } }]);
    expect(world.ends.high.state).to.equal('parked');
  });

  it('adopts what tincan has and touches nothing', () => {
    const world = new World();
    const actions = world.give('high', {
      kind: 'adopt',
      note: { mine: ['successor'], theirs: ['predecessor'] },
      path: 'direct',
    });
    expect(actions.map((action) => action.kind)).to.deep.equal(['tincan-webrtc']);
    expect(world.ends.high.state).to.equal('parked');
    expect(world.give('high', { kind: 'want', kinds: ['successor'] })).to.deep.equal([]);
  });

  it('connects an adopted tunnel that has no direct path', () => {
    const world = new World();
    world.give('high', { kind: 'adopt', note: { mine: ['successor'], theirs: [] }, path: 'webrtc' });
    world.give('high', { kind: 'contact', reachable: true, boot: 'boot-low' });
    world.run(GATHER_MS + 10);
    expect(world.offers).to.deep.equal(['high']);
  });

  it('goes on carrying while it drains, tells the peer at once, and is offered no more', () => {
    const world = new World();
    world.meet();
    world.run(400);
    const drained = world.give('low', { kind: 'drain' });
    expect(drained).to.deep.equal([
      { kind: 'tincan-note', note: '{"mine":[],"theirs":["predecessor"]}' },
      { kind: 'tincan-drain' },
      { kind: 'send', body: { type: 'edge', kinds: [] } },
    ]);
    expect(world.states()).to.deep.equal(['open', 'open']);
    // The peer is faster.
    world.give('high', { kind: 'drain' });
    world.give('high', { kind: 'drop' });
    world.run(60_000);
    expect(world.offers).to.deep.equal(['high']);
    const dropped = world.give('low', { kind: 'drop' });
    expect(dropped).to.deep.equal([{ kind: 'tincan-remove' }]);
  });

  it('is taken back from draining when it is wanted again', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.give('low', { kind: 'drain' });
    expect(world.give('low', { kind: 'want', kinds: ['successor'] })).to.deep.equal([
      { kind: 'tincan-add', note: '{"mine":["successor"],"theirs":["predecessor"]}' },
      { kind: 'send', body: { type: 'edge', kinds: ['successor'] } },
    ]);
    world.give('low', { kind: 'drain' });
    // For the peer alone there is nothing to tell it.
    expect(world.give('low', { kind: 'want', kinds: [] }).map((action) => action.kind)).to.deep.equal(['tincan-add']);
  });

  it('drains on in a tincan that was started anew', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.give('low', { kind: 'drain' });
    const actions = world.give('low', { kind: 'tincan-restarted' });
    expect(actions.map((action) => action.kind)).to.include('tincan-drain');
  });

  it('tells the peer when it goes, and leaves nothing behind', () => {
    const world = new World();
    world.meet();
    world.run(400);
    const actions = world.give('low', { kind: 'drop' });
    expect(actions.map((action) => (action.kind === 'send' ? action.body.type : action.kind))).to.deep.equal([
      'edge',
      'tincan-webrtc',
      'bye',
      'rtc-close',
      'tincan-remove',
    ]);
    expect(world.ends.low.deadline()).to.equal(undefined);
    world.give('high', { kind: 'drop' });
    world.run(60_000);
    expect(world.states()).to.deep.equal(['idle', 'idle']);
  });

  it('tells the peer when the edge is for something else now', () => {
    const world = new World();
    world.meet();
    world.run(400);
    const edges = () => world.log.filter((line) => line === 'low send edge').length;
    const before = edges();
    world.give('low', { kind: 'want', kinds: ['successor', 'long-distance'] });
    world.give('low', { kind: 'want', kinds: ['long-distance'] });
    world.run(EDGE_MS + 100);
    expect(world.ends.high.theirs).to.deep.equal(['long-distance']);
    world.give('low', { kind: 'want', kinds: ['successor'] });
    world.give('low', { kind: 'want', kinds: ['long-distance'] });
    world.run(EDGE_MS + 100);
    expect(edges() - before).to.equal(1);
  });

  it('tells once that nobody here wants it', () => {
    const world = new World();
    world.meet();
    world.run(400);
    world.give('low', { kind: 'want', kinds: [] });
    world.run(EDGE_MS + 100);
    expect(world.ends.high.theirs).to.deep.equal([]);
    expect(world.give('low', { kind: 'drain' }).map((action) => action.kind)).to.deep.equal([
      'tincan-note',
      'tincan-drain',
    ]);
  });

  it('sends candidates that are found late in one message', () => {
    const world = new World();
    world.meet({ high: ['successor'] });
    world.run(YIELD_MS);
    const tunnel = world.lastTunnel;
    world.webrtcWorks = false;
    world.give('high', { kind: 'rtc-closed', tunnel, reason: 'failed' });
    world.run(3_000);
    const before = world.log.filter((line) => line === 'low send candidates').length;
    for (const candidate of ['2 1 192.0.2.1 9 s', '3 1 192.0.2.9 9 r'])
      world.give('low', { kind: 'local-candidate', tunnel: world.lastTunnel, candidate });
    world.run(BATCH_MS + 1);
    expect(world.ends.low.state).to.equal('answering');
    expect(world.log.filter((line) => line === 'low send candidates').length - before).to.equal(1);
  });

  it('gives a tincan that was started anew everything again', () => {
    const world = new World();
    world.meet();
    world.give('high', { kind: 'addresses', source: 'lan', addresses: ['192.168.1.9:20000'] });
    world.run(400);
    const actions = world.give('high', { kind: 'tincan-restarted' });
    expect(actions.map((action) => action.kind)).to.deep.equal(['tincan-add', 'tincan-candidates', 'tincan-webrtc']);
  });

  it('waits long after a refusal', () => {
    const world = new World();
    world.online = false;
    world.meet({ high: ['on-demand'] });
    world.run(GATHER_MS + 10);
    const actions = world.give('high', {
      kind: 'body',
      body: { type: 'refuse', tunnel: world.lastTunnel, reason: 'limit' },
    });
    expect(actions.map((action) => action.kind)).to.deep.equal(['rtc-close', 'refused']);
    world.give('high', { kind: 'heard' });
    world.run(20_000);
    expect(world.offers).to.deep.equal(['high']);
  });

  it('ignores messages for a tunnel that is not its own', () => {
    const world = new World();
    world.meet({ high: ['successor'] });
    world.run(GATHER_MS + 10);
    for (const body of [
      { type: 'answer', tunnel: '0000000000000000', sdp: SDP, udp: [] },
      { type: 'candidates', tunnel: '0000000000000000', candidates: ['x'] },
      { type: 'bye', tunnel: '0000000000000000' },
      { type: 'refuse', tunnel: '0000000000000000', reason: 'busy' },
    ] as const)
      expect(world.give('high', { kind: 'body', body })).to.deep.equal([]);
  });

  it('puts the LAN first among the remote addresses and stays within 16', () => {
    const world = new World();
    world.meet({ high: ['successor'] });
    const many = Array.from({ length: 16 }, (_, i) => `192.0.2.${i + 1}:20000`);
    world.give('high', { kind: 'body', body: { type: 'udp', udp: many } });
    const actions = world.give('high', { kind: 'addresses', source: 'lan', addresses: ['192.168.1.9:20000'] });
    const [action] = actions;
    expect(action?.kind === 'tincan-candidates' && action.addresses[0]).to.equal('192.168.1.9:20000');
    expect(action?.kind === 'tincan-candidates' && action.addresses.length).to.equal(16);
  });
});
