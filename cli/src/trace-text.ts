/** A trace as people read it. */

import type { TraceCounted, TraceHop, TraceResult, TraceStation } from '../../agent/src/api.ts';
import { GOOD, silence } from '../../agent/src/trace/verdict.ts';
import type { TraceShown } from '../../map/src/model.ts';
import { columns } from './output.ts';

const HEAD = ['STATION', 'STEP', 'THERE', 'BACK'];

export function traceText(result: TraceResult): string {
  const { from, to, frames, frameBytes } = result;
  const end = ({ name, address, pod }: TraceResult['from']) =>
    pod ? `${address} behind ${name}` : `${name} (${address})`;
  const head = `${frames} echo requests of ${frameBytes} bytes from ${end(from)} to ${end(to)}\n\n`;
  return `${head}${columns([HEAD, ...result.stations.flatMap((station) => rows(station, result))])}\n${verdictText(result)}`;
}

/** The same for the map. */
export function traceShown(result: TraceResult): TraceShown {
  const { arrived, lost } = result;
  const [sentence = ''] = verdictText(result).split('\n');
  return {
    arrived,
    text: sentence.replace(/^(?:ARRIVED|LOST):? ?/, ''),
    fix: arrived ? null : (lost?.fix ?? null),
    steps: result.stations
      .flatMap((station) => rows(station, result))
      .map(([station = '', step = '', there = '', back = '']) => ({ station, step, there, back })),
  };
}

function verdictText({ arrived, returned, frames, lost, to }: TraceResult): string {
  if (arrived) {
    const all = returned >= frames ? 'all were answered' : `${returned} of ${frames} were answered`;
    return `ARRIVED at ${to.name}: ${all}\n`;
  }
  if (lost === null) return 'LOST\n';
  const where = lost.before === null ? `at ${lost.at}` : `between ${lost.at} and ${lost.before}`;
  return `LOST ${where}: ${lost.text}\n  to do: ${lost.fix}\n`;
}

function rows(station: TraceStation, result: TraceResult): readonly (readonly string[])[] {
  const { name, role, there, back } = station;
  if (there === null || back === null) return [[name, silence({ refused: station.refused ?? undefined }), '-', '-']];
  const row = (step: string, go: string, come: string) => [name, step, n(there, go), n(back, come)];
  switch (role) {
    case 'source':
      return [
        ...result.lookups.flatMap((lookup) => flowRows(name, lookup)),
        row('evio0 and the switch', 'read', 'delivered'),
        row(`session and tunnel ${toward(there.leftBy ?? station.next)}`, 'sent', 'arrived'),
        ...dropRows(name, there, back),
      ];
    case 'via':
      return [
        row(`passes records on ${toward(there.leftBy ?? station.next)}`, 'forwarded', 'forwarded'),
        ...dropRows(name, there, back),
      ];
    case 'destination':
      return [
        row(`tunnel ${fromWhom(there.cameBy)} and session`, 'arrived', 'sent'),
        row(`the switch and evio0${result.to.pod ? `, on to ${result.to.address}` : ''}`, 'delivered', 'read'),
        ...linkRows(station),
        ...dropRows(name, there, back),
      ];
  }
}

function linkRows({ name, kernel }: TraceStation): readonly (readonly string[])[] {
  if (kernel === null || kernel.link === null) return [];
  const { link } = kernel;
  return [[name, `${link.name}, the pod's link (all traffic)`, String(link.sent), String(link.received)]];
}

function flowRows(name: string, lookup: TraceResult['lookups'][number]): readonly (readonly string[])[] {
  const which = lookup.switch === 'ovs' ? 'Open vSwitch' : 'switch';
  return lookup.flows.map(({ tableName, flow, packets }) => {
    const what = flow === null ? 'no flow: dropped' : `${flow.match} -> ${flow.actions}`;
    return [name, `${which}, table ${tableName}: ${what}`, String(packets), ''];
  });
}

function dropRows(name: string, there: TraceCounted, back: TraceCounted): readonly (readonly string[])[] {
  const names = [...new Set([...Object.keys(there.counts), ...Object.keys(back.counts)])].filter(
    (one) => !GOOD.has(one),
  );
  return names.map((one) => [name, one, n(there, one), n(back, one)]);
}

const n = ({ counts }: TraceCounted, name: string): string => String(counts[name] ?? 0);

function toward(hop: TraceHop | null): string {
  return hop === null ? 'to nobody' : `to ${hop.name}, ${pathText(hop)}`;
}

function fromWhom(hop: TraceHop | null): string {
  return hop === null ? 'from nobody' : `from ${hop.name}, ${pathText(hop)}`;
}

function pathText({ path, relayed }: TraceHop): string {
  if (path === 'webrtc') return relayed ? 'relayed (WebRTC, TURN)' : 'WebRTC';
  return path === 'none' ? 'no path' : 'direct';
}
