/** What ovs-vswitchd has made of what the database wants: numbers, and what it could not do. */
import { mapOf, numberOf, type Replica, textOf, textsOf } from './replica.ts';
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

export function statusOf(db: Replica, wanted: Wanted): Status {
  const [root] = db.rows('Open_vSwitch');
  const behind = root === undefined || (numberOf(root, 'cur_cfg') ?? 0) < (numberOf(root, 'next_cfg') ?? 0);
  const numbers = new Map<string, number>();
  const problems: string[] = [];
  for (const name of [wanted.bridge, ...wanted.ports.map((port) => port.name)]) {
    const row = db.named('Interface', name);
    if (row === undefined) continue;
    const [number, error] = [numberOf(row, 'ofport'), textOf(row, 'error')];
    if (error !== '') problems.push(`ovs-vswitchd cannot use interface ${name}: ${error}`);
    else if (number === NO_PORT) problems.push(`ovs-vswitchd cannot use interface ${name} (its log says why)`);
    else if (number !== undefined) numbers.set(name, number);
  }
  const complete = numbers.size === new Set(wanted.ports.map((port) => port.name)).size + 1;
  for (const { name, number } of wanted.ports) {
    const is = numbers.get(name);
    if (is === undefined || is === number || behind) continue;
    const holder = db.rows('Interface').find((row) => numberOf(row, 'ofport') === number);
    const why = holder === undefined ? '' : `, which ${textOf(holder, 'name')} has`;
    problems.push(`port ${name} has number ${is} instead of ${number}${why}`);
  }
  numbers.delete(wanted.bridge);
  return { ports: numbers, others: othersOf(db, wanted), complete, behind, problems };
}

function othersOf(db: Replica, wanted: Wanted): ReadonlyMap<string, number> {
  const bridge = db.named('Bridge', wanted.bridge);
  const ours = new Set([wanted.bridge, ...wanted.ports.map((port) => port.name)]);
  const ports = bridge === undefined ? [] : textsOf(bridge, 'ports').flatMap((uuid) => db.row('Port', uuid) ?? []);
  const interfaces = ports
    .filter((port) => mapOf(port, 'external_ids').get(MARK) !== wanted.overlay)
    .flatMap((port) => textsOf(port, 'interfaces').flatMap((uuid) => db.row('Interface', uuid) ?? []));
  return new Map(
    interfaces.flatMap((row) => {
      const [name, number] = [textOf(row, 'name'), numberOf(row, 'ofport') ?? NO_PORT];
      return ours.has(name) || number === NO_PORT ? [] : [[name, number] as const];
    }),
  );
}
