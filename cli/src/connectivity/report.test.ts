import { expect } from 'chai';
import fc from 'fast-check';
import type { StepReport } from './judge.ts';
import { junit } from './junit.ts';
import { measuredMessage, measuredOf, quantile } from './measured.ts';
import type { Found } from './order.ts';
import { foundIn, foundInMessage, lineOf, MESSAGE_MAX, messageOf, valuesInMessage } from './report.ts';
import { stepText } from './text.ts';

const found = (failures: number): Found => ({
  step: 'pod4',
  asked: 1_000,
  failed: Array.from({ length: failures }, (_, at) => ({ to: `node-${at * 7919}`, why: `no answer within ${at} s` })),
  retried: 1,
  ms: 12,
});

describe('what a pod of the connectivity test tells', () => {
  it('is in its log, whole, among other lines', () => {
    const all = [found(300), { ...found(0), step: 'pod6' as const }];
    expect(foundIn(`a warning\n${all.map(lineOf).join('\n')}\n`)).to.deep.equal(all);
  });

  it('is in its termination message too, with failures cut where they do not fit, and counted', () => {
    const [few, many] = [[found(3)], [found(900), found(900)]];
    expect(foundInMessage(messageOf(few))).to.deep.equal(few);
    const message = messageOf(many);
    expect(message.length).to.be.at.most(MESSAGE_MAX);
    const read = foundInMessage(message) ?? [];
    expect(read.map(({ failed, more = 0 }) => failed.length + more)).to.deep.equal([900, 900]);
  });

  it('is taken from no message or line of something else, whatever stands there', () => {
    expect(foundInMessage('evio: unknown here: answer')).to.equal(undefined);
    expect(foundInMessage('evio-found AAAA')).to.equal(undefined);
    fc.assert(
      fc.property(fc.string(), fc.json(), (text, json) => {
        foundInMessage(`evio-found ${text}`);
        for (const { asked, failed } of foundIn(`evio-found ${json}\nevio-found ${text}`))
          expect([typeof asked, Array.isArray(failed)]).to.deep.equal(['number', true]);
      }),
    );
  });

  it('of a measurement fits as well', () => {
    const all = Array.from({ length: 500 }, (_, at) => ({
      from: `node-${at * 7919}`,
      to: 'a',
      mbitPerSecond: at / 7,
      lost: 0,
    }));
    const message = measuredMessage(all);
    expect(message.length).to.be.at.most(MESSAGE_MAX);
    const read = measuredOf(valuesInMessage(message) ?? []);
    expect(read.length).to.be.greaterThan(50);
    expect(read).to.deep.equal(all.slice(0, read.length));
    expect(quantile([3, 1, 2], 0.5)).to.equal(2);
    expect(quantile([], 0.5)).to.equal(undefined);
  });
});

const step = (more: Partial<StepReport>): StepReport => ({
  number: 2,
  id: 'pod4',
  title: 'pod to pod, IPv4',
  outcome: 'passed',
  about: '12 pairs',
  seconds: 1.25,
  problems: [],
  notes: [],
  ...more,
});
const FAILED = step({ outcome: 'failed', about: '1 of 12 pairs', problems: ['a to b: "<&>\u0007"', 'all'] });

describe('the steps of the connectivity test', () => {
  it('are a line each with time, and below it what failed', () => {
    expect(stepText(step({}))).to.equal(' 2  pod to pod, IPv4              ok       12 pairs            1.3 s\n');
    expect(stepText(FAILED)).to.match(/^ 2 .* FAILED {3}1 of 12 pairs {7}1.3 s\n {6}a to b: .*\n {6}all\n$/);
  });

  it('are JUnit: counts, times, failures and skipped ones, in XML that can be read', () => {
    const skipped = step({ number: 3, outcome: 'skipped', about: 'no two pods with IPv6' });
    const xml = junit([step({}), FAILED, skipped], '2026-01-01T00:00:00.000Z');
    expect(xml).to.include('tests="3" failures="1" errors="0" skipped="1" time="3.750"');
    expect(xml).to.include('<testcase classname="evio.connectivity" name="2 pod to pod, IPv4" time="1.250"/>');
    expect(xml).to.include(
      '<failure message="a to b: &quot;&lt;&amp;&gt;?&quot;">a to b: &quot;&lt;&amp;&gt;?&quot;\nall</failure>',
    );
    expect(xml).to.include('<skipped message="no two pods with IPv6"/>');
  });
});
