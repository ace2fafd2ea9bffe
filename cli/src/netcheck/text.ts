/** What `evio netcheck` prints for people. */

import { findingsText } from '../findings.ts';
import { columns } from '../output.ts';
import { type Lifetime, outlook } from './behaviour.ts';
import type { NetcheckReport, ServerReport } from './check.ts';
import { endpointText } from './endpoint.ts';
import type { NatReport } from './nat.ts';
import type { XmppReport } from './xmpp.ts';

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

/** `lifetimeAsked`: whether --lifetime was given. */
export function netcheckText(report: NetcheckReport, lifetimeAsked: boolean): string {
  const { xmpp, stun, turn, udp, nat } = report;
  return (
    columns([
      ['node', `${report.node} of overlay ${report.overlay}, ${report.file}`],
      ['XMPP', xmppText(xmpp)],
      ...stun.map((one) => ['STUN', serverText(one)]),
      ...(turn ?? []).map((one) => ['TURN', serverText(one)]),
      ...(turn === null && xmpp.failure !== null ? [['TURN', 'not known: the XMPP server names it']] : []),
      ['UDP', udp === null ? 'not known: there is no server to ask' : udp ? 'yes' : 'no: nothing comes back'],
      ...natRows(nat, lifetimeAsked),
    ]) + findingsText(report.findings)
  );
}

function xmppText({ service, address, resolvedMs, tcpMs, signedInMs, room, failure }: XmppReport): string {
  const at = address === null || service.includes(address) ? '' : ` (${address}, resolved in ${ms(resolvedMs ?? 0)})`;
  const steps = [
    tcpMs === null ? undefined : `TCP ${ms(tcpMs)}`,
    signedInMs === null ? undefined : `signed in ${ms(signedInMs)}`,
    room === 'there' ? 'room is there' : room === 'missing' ? 'room is missing' : undefined,
    failure === null ? undefined : 'failed',
  ];
  return `${service}${at}: ${steps.filter((step) => step !== undefined).join(', ')}`;
}

function serverText({ host, port, address, mapped, outcome }: ServerReport): string {
  const at = `${endpointText({ address: host, port })}${address === null || address === host ? '' : ` (${address})`}`;
  switch (outcome.kind) {
    case 'well':
      return `${at}: ${ms(outcome.rttMs ?? 0)}${mapped === null ? ', takes our credentials' : `, sees ${mapped}`}`;
    case 'refused':
      return `${at}: answers with error ${outcome.code}`;
    case 'full':
      return `${at}: takes our credentials, has no relay for us (error ${outcome.code})`;
    case 'silent':
      return `${at}: no answer${outcome.closed ? ', nothing listens there' : ''}`;
    case 'unsent':
      return `${at}: cannot be sent to (${outcome.code})`;
    case 'unresolved':
      return `${at}: the name cannot be resolved (${outcome.code})`;
  }
}

function natRows(nat: NatReport | null, lifetimeAsked: boolean): readonly (readonly string[])[] {
  if (nat === null) return [['NAT', 'not known: no STUN server has answered']];
  const { family, mapping, filtering, hairpin, lifetime, mapped } = nat;
  const word = (text: string): string => (text === 'unknown' ? 'not known' : text);
  return [
    [
      'NAT',
      `IPv${family}: mapping ${mapping === 'dependent' ? 'address-dependent or more' : word(mapping)}, seen as ${mapped.map(endpointText).join(', ')}`,
    ],
    [
      '',
      `filtering ${word(filtering)}, hairpin ${hairpin === null ? (mapping === 'none' ? 'not needed' : 'not known') : hairpin ? 'yes' : 'no'}`,
    ],
    ['', `mapping lifetime ${lifetimeText(lifetime, lifetimeAsked, mapping === 'none')}`],
    ['', outlook(mapping, filtering)],
  ];
}

function lifetimeText(lifetime: Lifetime | null, asked: boolean, none: boolean): string {
  if (none) return 'without end: nothing is translated';
  if (!asked) return 'not looked for (--lifetime)';
  if (lifetime === null) return 'not known: the server does not answer to other ports (RFC 5780)';
  const { atLeastS, lessThanS } = lifetime;
  if (lessThanS === undefined) return `${atLeastS ?? 0} s or more`;
  return atLeastS === undefined ? `less than ${lessThanS} s` : `${atLeastS} to ${lessThanS} s`;
}
