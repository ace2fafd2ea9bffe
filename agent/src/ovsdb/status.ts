/** What ovs-vswitchd has made of what the database wants: numbers, and what it could not do. */
import { isBehind } from './plan.ts';
import { mapOf, numberOf, type Replica, type Row, textOf, textsOf } from './replica.ts';
import { MARK, type Wanted } from './wanted.ts';

export interface Status {
  /** OpenFlow numbers of the wanted ports that have one. */
  readonly ports: ReadonlyMap<string, number>;
  /** Those of the bridge's other ports. */
  readonly others: ReadonlyMap<string, number>;
  /** Everything wanted has a number. */
  readonly complete: boolean;
  /** It has been told of something that it has not done yet. */
  readonly behind: boolean;
  readonly problems: readonly string[];
}

/** ovs-vswitchd's answer for an interface that it could not open. */
const NO_PORT = -1;

/** `mending`: the database itself is not as wanted yet. */
export function statusOf(db: Replica, wanted: Wanted, mending: boolean): Status {
  const behind = isBehind(db);
  const numbers = new Map<string, number>();
  const problems: string[] = [];
  const present = interfacesOf(db, wanted.bridge);
  const names = new Set([wanted.bridge, ...wanted.ports.map((port) => port.name)]);
  for (const name of names) {
    const row = present.find((one) => textOf(one, 'name') === name);
    if (row === undefined) continue;
    const [number, error] = [numberOf(row, 'ofport'), textOf(row, 'error')];
    if (error !== '') problems.push(`ovs-vswitchd cannot use interface ${name}: ${error}`);
    else if (number === NO_PORT) problems.push(`ovs-vswitchd cannot use interface ${name} (its log says why)`);
    else if (numberOf(row, 'ifindex') === 0) problems.push(`interface ${name} is gone`);
    else if (number !== undefined) numbers.set(name, number);
  }
  const complete = numbers.size === names.size;
  for (const { name, number } of behind || mending ? [] : wanted.ports) {
    const is = numbers.get(name);
    if (is === undefined || is === number) continue;
    const holder = present.find((row) => numberOf(row, 'ofport') === number);
    const why = holder === undefined ? '' : `, which ${textOf(holder, 'name')} has`;
    problems.push(`port ${name} has number ${is} instead of ${number}${why}`);
  }
  numbers.delete(wanted.bridge);
  return { ports: numbers, others: othersOf(db, wanted), complete, behind, problems };
}

function othersOf(db: Replica, wanted: Wanted): ReadonlyMap<string, number> {
  const ours = new Set([wanted.bridge, ...wanted.ports.map((port) => port.name)]);
  return new Map(
    interfacesOf(db, wanted.bridge).flatMap((row) => {
      const [name, number] = [textOf(row, 'name'), numberOf(row, 'ofport') ?? NO_PORT];
      const other = !ours.has(name) && mapOf(row, 'external_ids').get(MARK) !== wanted.overlay;
      return other && number !== NO_PORT ? [[name, number] as const] : [];
    }),
  );
}

/** Numbers are a bridge's own. */
function interfacesOf(db: Replica, bridge: string): readonly Row[] {
  const row = db.named('Bridge', bridge);
  const ports = row === undefined ? [] : textsOf(row, 'ports').flatMap((uuid) => db.row('Port', uuid) ?? []);
  return ports.flatMap((port) => textsOf(port, 'interfaces')).flatMap((uuid) => db.row('Interface', uuid) ?? []);
}
