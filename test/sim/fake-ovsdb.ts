/**
 * An ovsdb-server and an ovs-vswitchd as far as the agent sees them: transactions with names, garbage and unique names (RFC 7047 §3.1,
 * §5.2), both ways of monitoring, and numbers for interfaces.
 */
import { isList, isRecord, type Json } from '../../agent/src/ovsdb/json-rpc.ts';
import { Replica, type Row, textsOf } from '../../agent/src/ovsdb/replica.ts';
import { columnsOf, type TableName, tableNames } from '../../agent/src/ovsdb/schema.ts';
import {
  type Atom,
  type ColumnType,
  type Datum,
  decodeDatum,
  defaultOf,
  encodeDatum,
  isMap,
  sameDatum,
} from '../../agent/src/ovsdb/value.ts';

type Columns = Record<string, Datum>;
type Tables = Map<TableName, Map<string, Columns>>;
type Op = Readonly<Record<string, Json>>;

/** What refers to whom: rows that nobody refers to go. */
const REFERENCES = [
  ['Open_vSwitch', 'bridges', 'Bridge'],
  ['Bridge', 'ports', 'Port'],
  ['Bridge', 'controller', 'Controller'],
  ['Port', 'interfaces', 'Interface'],
] as const;

export class FakeOvsdb {
  tables: Tables = emptyTables();
  /** ovs-vswitchd runs. */
  vswitchd = true;
  /** What each transaction answers instead of being carried out. */
  refuses: string | undefined;
  /** Whether `monitor_cond` is known. */
  conditions = true;
  transactions = 0;
  /** The ifindex of devices that were made anew; others have 100. */
  readonly ifindexes = new Map<string, number>();
  /** Interfaces that ovs-vswitchd cannot open. */
  readonly broken = new Map<string, string>();
  #rows = 0;
  #monitored: Tables | undefined;

  constructor() {
    this.transact([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
  }

  /** What comes back for a message of the client. */
  receive(message: Op): readonly Json[] {
    const { id = null, method, params } = message;
    if (method === undefined) return [];
    const list = isList(params) ? params : [];
    const reply = (result: Json) => ({ id, result, error: null });
    switch (method) {
      case 'echo':
        return [reply(list)];
      case 'get_schema':
        return [reply({ version: '8.3.1', tables: schemaTables() })];
      case 'monitor_cond':
        if (!this.conditions) return [{ id, result: null, error: 'unknown method' }];
        return [reply(this.#monitor())];
      case 'monitor':
        return [reply(this.#monitor())];
      case 'transact': {
        this.transactions++;
        const result = this.transact(list.slice(1).filter((op) => isRecord(op)));
        return [...this.updates(), reply(result)];
      }
      default:
        return [{ id, result: null, error: 'unknown method' }];
    }
  }

  disconnect(): void {
    this.#monitored = undefined;
  }

  /** What the client is told of what changed since it was last told. */
  updates(): readonly Json[] {
    if (this.#monitored === undefined) return [];
    const changes = this.#changes(this.#monitored);
    this.#monitored = structuredClone(this.tables);
    if (Object.keys(changes).length === 0) return [];
    return [{ id: null, method: this.conditions ? 'update2' : 'update', params: ['evio', changes] }];
  }

  /** All of it, or nothing and an error behind the results. */
  transact(operations: readonly Op[]): Json {
    if (this.refuses !== undefined) return [...operations.map(() => null), { error: this.refuses }];
    const before = structuredClone(this.tables);
    const names = new Map(
      operations.flatMap((op) =>
        typeof op['uuid-name'] === 'string' ? [[op['uuid-name'], this.#uuid()] as const] : [],
      ),
    );
    const named = (json: Json): Json => {
      if (!isList(json)) return json;
      if (json[0] === 'named-uuid') return ['uuid', names.get(String(json[1])) ?? 'no such name'];
      return json.map(named);
    };
    const results: Json[] = [];
    for (const op of operations) {
      const error = this.#operation(op, named, names);
      results.push(error === undefined ? {} : { error, details: 'of the fake' });
      if (error === undefined) continue;
      this.tables = before;
      return results;
    }
    this.#collectGarbage();
    const twice = this.#notUnique();
    if (twice !== undefined) {
      this.tables = before;
      return [...results, { error: 'constraint violation', details: `${twice} is there twice` }];
    }
    this.work();
    return results;
  }

  /** ovs-vswitchd looks at the database. */
  work(): void {
    if (!this.vswitchd) return;
    const taken = new Set(this.#all('Interface').flatMap((row) => numbers(row.ofport)));
    for (const row of this.#all('Interface')) {
      const name = String(atoms(row.name)[0]);
      const error = this.broken.get(name);
      row.ifindex = [this.ifindexes.get(name) ?? 100];
      if (error !== undefined) Object.assign(row, { ofport: [-1], error: [error] });
      else if (numbers(row.ofport)[0] === undefined || atoms(row.error).length > 0) {
        const [wanted = 1] = atoms(row.type)[0] === 'internal' ? [65534] : numbers(row.ofport_request);
        let number = wanted;
        while (taken.has(number) && number !== 65534) number++;
        taken.add(number);
        Object.assign(row, { ofport: [number], error: [] });
      }
    }
    for (const root of this.#all('Open_vSwitch')) root.cur_cfg = root.next_cfg ?? [0];
  }

  replica(): Replica {
    const replica = new Replica();
    for (const [table, rows] of this.tables)
      for (const [uuid, columns] of rows) replica.set(table, { uuid, columns: structuredClone(columns) });
    return replica;
  }

  #operation(op: Op, named: (json: Json) => Json, names: ReadonlyMap<string, string>): string | undefined {
    const table = tableNames().find((name) => name === op.table);
    if (op.op === 'comment') return undefined;
    const rows = table === undefined ? undefined : this.tables.get(table);
    if (table === undefined || rows === undefined) return `no table ${op.table}`;
    const given = isRecord(op.row)
      ? Object.fromEntries(Object.entries(op.row).map(([name, json]) => [name, decode(table, name, named(json))]))
      : {};
    if (op.op === 'insert') {
      const defaults = Object.entries(columnsOf(table)).map(([name, type]) => [name, defaultOf(type)] as const);
      rows.set(names.get(String(op['uuid-name'])) ?? this.#uuid(), { ...Object.fromEntries(defaults), ...given });
      return undefined;
    }
    const matching = [...rows].filter(([uuid]) => matches(op.where, uuid));
    if (op.op === 'wait') return matching.length > 0 ? undefined : 'timed out';
    for (const [uuid, columns] of matching) {
      if (op.op === 'delete') rows.delete(uuid);
      else if (op.op === 'update') Object.assign(columns, given);
      else for (const mutation of isList(op.mutations) ? op.mutations : []) mutate(table, columns, named(mutation));
    }
    return undefined;
  }

  #collectGarbage(): void {
    for (const [from, column, to] of REFERENCES) {
      const live = new Set(this.#all(from).flatMap((row) => atoms(row[column])));
      for (const uuid of this.tables.get(to)?.keys() ?? []) if (!live.has(uuid)) this.tables.get(to)?.delete(uuid);
    }
  }

  #notUnique(): string | undefined {
    for (const table of ['Bridge', 'Port', 'Interface'] as const) {
      const names = this.#all(table).map((row) => String(atoms(row.name)[0]));
      const twice = names.find((name, i) => names.indexOf(name) !== i);
      if (twice !== undefined) return `${table} ${twice}`;
    }
    return undefined;
  }

  #monitor(): Json {
    this.#monitored = structuredClone(this.tables);
    return this.#changes(emptyTables());
  }

  #changes(before: Tables): { [table: string]: Json } {
    const changes: { [table: string]: Json } = {};
    for (const [table, rows] of this.tables) {
      const old = before.get(table) ?? new Map<string, Columns>();
      const uuids = [...new Set([...old.keys(), ...rows.keys()])];
      const told = uuids.flatMap((uuid) => {
        const change = this.#change(table, old.get(uuid), rows.get(uuid));
        return change === undefined ? [] : [[uuid, change] as const];
      });
      if (told.length > 0) changes[table] = Object.fromEntries(told);
    }
    return changes;
  }

  #change(table: TableName, old: Columns | undefined, is: Columns | undefined): Json | undefined {
    const types = columnsOf(table);
    const encode = (columns: Columns, keep: (name: string, type: ColumnType) => boolean) =>
      Object.fromEntries(
        Object.entries(types)
          .filter(([name, type]) => keep(name, type))
          .map(([name, type]) => [name, encodeDatum(type, columns[name] ?? [])]),
      );
    if (is === undefined) return this.conditions ? { delete: null } : { old: {} };
    const differs = (name: string) => !sameDatum(old?.[name] ?? [], is[name] ?? []);
    if (old !== undefined && !Object.keys(types).some(differs)) return undefined;
    if (!this.conditions) return { new: encode(is, () => true) };
    if (old === undefined) return { insert: encode(is, (name, type) => !sameDatum(is[name] ?? [], defaultOf(type))) };
    const differences = Object.entries(types).map(
      ([name, type]) => [name, difference(type, old[name] ?? [], is[name] ?? [])] as const,
    );
    return { modify: encode(Object.fromEntries(differences), differs) };
  }

  #all(table: TableName): readonly Columns[] {
    return [...(this.tables.get(table)?.values() ?? [])];
  }

  #uuid(): string {
    return `00000000-0000-4000-8000-${String(++this.#rows).padStart(12, '0')}`;
  }
}

/** The rows of a replica, comparable. */
export function portsOf(db: Replica, bridge: Row): readonly string[] {
  return textsOf(bridge, 'ports').map((uuid) => String(atoms(db.row('Port', uuid)?.columns.name)[0]));
}

function emptyTables(): Tables {
  return new Map(tableNames().map((name) => [name, new Map()]));
}

function schemaTables(): Json {
  const typeOf = ({ key, value, count }: ColumnType): Json => {
    if (count === 'one') return key;
    return { key, ...(value === undefined ? {} : { value }), min: 0, max: count === 'many' ? 'unlimited' : 1 };
  };
  const columns = (table: TableName) =>
    Object.fromEntries(Object.entries(columnsOf(table)).map(([name, type]) => [name, { type: typeOf(type) }]));
  return Object.fromEntries(tableNames().map((table) => [table, { columns: columns(table) }]));
}

function difference(type: ColumnType, old: Datum, is: Datum): Datum {
  if (isMap(is)) {
    const was = isMap(old) ? old : new Map<Atom, Atom>();
    const keys = [...new Set([...was.keys(), ...is.keys()])].filter((key) => was.get(key) !== is.get(key));
    return new Map(keys.map((key) => [key, is.get(key) ?? was.get(key) ?? '']));
  }
  if (type.count !== 'many') return is;
  const [a, b] = [atoms(old), atoms(is)];
  return [...a.filter((atom) => !b.includes(atom)), ...b.filter((atom) => !a.includes(atom))];
}

function mutate(table: TableName, columns: Columns, mutation: Json): void {
  const [column, mutator, json = null] = isList(mutation) ? mutation : [];
  const name = String(column);
  const is = columns[name] ?? [];
  if (mutator === '+=') columns[name] = [Number(atoms(is)[0] ?? 0) + Number(json)];
  else if (isMap(is)) {
    const keys = isList(json) && json[0] === 'set' && isList(json[1]) ? json[1].map(String) : [];
    const pairs = mutator === 'insert' ? decode(table, name, json) : undefined;
    const map = new Map(is);
    for (const key of keys) map.delete(key);
    // "insert" leaves a key alone that is there.
    if (pairs !== undefined && isMap(pairs)) for (const [key, value] of pairs) if (!map.has(key)) map.set(key, value);
    columns[name] = map;
  } else {
    const given = atoms(decode(table, name, json));
    const rest = is.filter((atom) => !given.includes(atom));
    columns[name] = mutator === 'insert' ? [...rest, ...given] : rest;
  }
}

function decode(table: TableName, column: string, json: Json): Datum {
  const type = columnsOf(table)[column];
  if (type === undefined) throw new Error(`no column ${table}.${column}`);
  return decodeDatum(type, json);
}

function matches(where: Json | undefined, uuid: string): boolean {
  const [condition] = isList(where) ? where : [];
  if (condition === undefined) return true;
  const value = isList(condition) && isList(condition[2] ?? null) ? condition[2] : [];
  return isList(value) && value[1] === uuid;
}

function atoms(datum: Datum | undefined): readonly Atom[] {
  return datum === undefined || isMap(datum) ? [] : datum;
}

function numbers(datum: Datum | undefined): readonly number[] {
  return atoms(datum).map(Number);
}
