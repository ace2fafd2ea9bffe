/** Records and their plaintexts by the vectors of docs/wire.md, which tincan's tests run too. */
import { expect } from 'chai';
import { parseEndpoint } from './address.ts';
import { type Control, decodeControl, encodeControl } from './control.ts';
import { decodeFlood, decodeFloodAcknowledgement, encodeFlood, encodeFloodAcknowledgement } from './flood.ts';
import { decodeFragment, decodeFrame, encodeFrame, join, split } from './frame.ts';
import { parseLabel } from './ids.ts';
import { decodeNotice, encodeNotice, type Notice } from './notice.ts';
import { decodeProbe, encodeProbe } from './probe.ts';
import { DecodeError } from './reader.ts';
import { decodeRouted, encodeRouted } from './record.ts';
import { hostile, unhex, vectors } from './vectors.ts';

describe('vectors: routing', () => {
  const { cases, refused } = vectors<{
    record: string;
    detour: boolean;
    hopLimit: number;
    destination: string;
    source: string;
    inner: string;
  }>('routing');
  for (const c of cases)
    it(c.name, () => {
      const routed = {
        detour: c.detour,
        hopLimit: c.hopLimit,
        destination: parseLabel(c.destination),
        source: parseLabel(c.source),
        inner: unhex(c.inner),
      };
      expect(decodeRouted(unhex(c.record))).to.deep.equal(routed);
      expect(encodeRouted(routed).toString('hex')).to.equal(c.record);
    });
  hostile(
    decodeRouted,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.record), shortest: 21 })),
    refused,
  );
});

describe('vectors: frame', () => {
  const { cases, refused } = vectors<{ plaintext: string; ethernet: string; partial: boolean; continues: boolean }>(
    'frame',
  );
  for (const c of cases)
    it(c.name, () => {
      const frame = { partial: c.partial, continues: c.continues, ethernet: unhex(c.ethernet) };
      expect(decodeFrame(unhex(c.plaintext))).to.deep.equal(frame);
      expect(encodeFrame(frame).toString('hex')).to.equal(c.plaintext);
    });
  hostile(
    decodeFrame,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.plaintext), shortest: 16 })),
    refused,
  );
});

describe('vectors: fragment', () => {
  const { cases, refused } = vectors<{ fragments: string[]; id: number; message: string; pieceSize: number }>(
    'fragment',
  );
  for (const c of cases)
    it(c.name, () => {
      const { type, plaintext } = join(c.fragments.map((f) => decodeFragment(unhex(f))).reverse());
      expect(Buffer.concat([Buffer.of(type), plaintext]).toString('hex')).to.equal(c.message);
      expect(split(c.id, type, plaintext, c.pieceSize).map((f) => f.toString('hex'))).to.deep.equal(c.fragments);
      expect(() => join(c.fragments.slice(1).map((f) => decodeFragment(unhex(f))))).to.throw(DecodeError);
    });
  const wholes = cases.map((c) => ({ name: c.name, bytes: unhex(c.fragments[0]!), shortest: 5 }));
  hostile(decodeFragment, wholes, refused);
});

describe('vectors: flood', () => {
  interface Case {
    readonly plaintext: string;
    readonly acknowledgement: string;
    readonly root: string;
    readonly sequence: string;
    readonly start: string;
    readonly bound: string;
    readonly hopLimit: number;
    readonly partial: boolean;
    readonly ethernet: string;
  }
  const { cases, refused } = vectors<Case>('flood');
  const arcOf = (c: Case) => ({
    root: parseLabel(c.root),
    sequence: parseLabel(c.sequence),
    start: parseLabel(c.start),
    bound: parseLabel(c.bound),
  });
  for (const c of cases)
    it(c.name, () => {
      const flood = { ...arcOf(c), hopLimit: c.hopLimit, partial: c.partial, ethernet: unhex(c.ethernet) };
      expect(decodeFlood(unhex(c.plaintext))).to.deep.equal(flood);
      expect(encodeFlood(flood).toString('hex')).to.equal(c.plaintext);
      expect(decodeFloodAcknowledgement(unhex(c.acknowledgement))).to.deep.equal(arcOf(c));
      expect(encodeFloodAcknowledgement(flood).toString('hex')).to.equal(c.acknowledgement);
    });
  hostile(
    decodeFlood,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.plaintext), shortest: 48 })),
    refused,
  );
  const acknowledgements = cases.map((c) => ({ name: c.name, bytes: unhex(c.acknowledgement) }));
  hostile(decodeFloodAcknowledgement, acknowledgements, []);
});

describe('vectors: probe', () => {
  const { cases, refused } = vectors<{
    plaintext: string;
    kind: 'request' | 'response';
    proven: boolean;
    size: number;
    challenge: string;
    seen: string | null;
  }>('probe');
  for (const c of cases)
    it(c.name, () => {
      const probe = {
        kind: c.kind,
        proven: c.proven,
        size: c.size,
        challenge: unhex(c.challenge),
        seen: c.seen === null ? undefined : parseEndpoint(c.seen),
      };
      expect(decodeProbe(unhex(c.plaintext))).to.deep.equal(probe);
      expect(encodeProbe(probe).toString('hex')).to.equal(c.plaintext);
    });
  hostile(
    decodeProbe,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.plaintext) })),
    refused,
  );
});

describe('vectors: control', () => {
  interface Fields {
    readonly channel: number;
    readonly body?: string;
    readonly sequence?: number;
    readonly labels?: string[];
    readonly object?: string;
  }
  const { cases, refused } = vectors<{ plaintext: string; fields: Fields }>('control');
  const controlOf = (f: Fields): Control => {
    if (f.channel === 0) return { channel: 'confirmation' };
    if (f.channel === 1) return { channel: 'agent', body: unhex(f.body ?? '') };
    if (f.channel === 2)
      return { channel: 'adjacency', sequence: f.sequence ?? 0, labels: (f.labels ?? []).map(parseLabel) };
    return { channel: f.channel === 3 ? 'revocations' : 'certificate', object: unhex(f.object ?? '') };
  };
  for (const c of cases)
    it(c.name, () => {
      expect(decodeControl(unhex(c.plaintext))).to.deep.equal(controlOf(c.fields));
      expect(encodeControl(controlOf(c.fields)).toString('hex')).to.equal(c.plaintext);
    });
  const wholes = cases.map((c) => {
    const bytes = unhex(c.plaintext);
    return { name: c.name, bytes, shortest: c.fields.channel === 2 ? bytes.length : 2 };
  });
  hostile(decodeControl, wholes, refused);
});

describe('vectors: notice', () => {
  const { cases, refused } = vectors<{ record: string; kind: number; size: number; label: string; quote: string }>(
    'notice',
  );
  const kinds = ['unknown-label', 'too-big', 'unknown-receiver'] as const;
  for (const c of cases)
    it(c.name, () => {
      const notice: Notice = {
        kind: kinds[c.kind - 1]!,
        size: c.size,
        label: parseLabel(c.label),
        quote: unhex(c.quote),
      };
      expect(decodeNotice(unhex(c.record))).to.deep.equal(notice);
      expect(encodeNotice(notice).toString('hex')).to.equal(c.record);
    });
  hostile(
    decodeNotice,
    cases.map((c) => ({ name: c.name, bytes: unhex(c.record) })),
    refused,
  );
});
