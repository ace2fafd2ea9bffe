/** The tables and columns of ovs-vswitchd.conf.db(5) that the agent reads or writes, and whether a database has them. */
import { isList, isRecord, type Json } from './json-rpc.ts';
import type { AtomicType, ColumnType } from './value.ts';

export const DATABASE = 'Open_vSwitch';

const one = (key: AtomicType): ColumnType => ({ key, count: 'one' });
const optional = (key: AtomicType): ColumnType => ({ key, count: 'optional' });
const set = (key: AtomicType): ColumnType => ({ key, count: 'many' });
const MAP: ColumnType = { key: 'string', value: 'string', count: 'many' };

export const TABLES = {
  Open_vSwitch: {
    bridges: set('uuid'),
    next_cfg: one('integer'),
    cur_cfg: one('integer'),
    ovs_version: optional('string'),
    other_config: MAP,
  },
  Bridge: {
    name: one('string'),
    datapath_type: one('string'),
    fail_mode: optional('string'),
    protocols: set('string'),
    controller: set('uuid'),
    ports: set('uuid'),
    other_config: MAP,
    external_ids: MAP,
  },
  Port: { name: one('string'), interfaces: set('uuid'), tag: optional('integer'), external_ids: MAP },
  Interface: {
    name: one('string'),
    type: one('string'),
    ifindex: optional('integer'),
    ofport: optional('integer'),
    ofport_request: optional('integer'),
    mtu_request: optional('integer'),
    error: optional('string'),
    external_ids: MAP,
  },
  Controller: { target: one('string') },
} as const satisfies Readonly<Record<string, Readonly<Record<string, ColumnType>>>>;

export type TableName = keyof typeof TABLES;

export function columnsOf(table: TableName): Readonly<Record<string, ColumnType>> {
  return TABLES[table];
}

export function tableNames(): readonly TableName[] {
  return Object.keys(TABLES) as TableName[];
}

/** What keeps us from using the database whose get_schema answered `schema`, in one line; undefined when nothing does. */
export function schemaProblem(schema: Json): string | undefined {
  const { tables, version } = isRecord(schema) ? schema : {};
  if (!isRecord(tables)) return 'the answer to get_schema holds no tables';
  const missing = tableNames().flatMap((name) => lacks(name, tables[name]));
  if (missing.length === 0) return undefined;
  const of = typeof version === 'string' ? `version ${version}` : 'unknown version';
  return `the database has schema ${of}, which lacks ${missing.join(', ')}; install Open vSwitch 2.13 or later`;
}

function lacks(name: TableName, table: Json | undefined): readonly string[] {
  const columns = isRecord(table) ? table.columns : undefined;
  if (!isRecord(columns)) return [`table ${name}`];
  return Object.entries(columnsOf(name)).flatMap(([column, type]) =>
    fits(type, isRecord(columns[column]) ? columns[column].type : undefined) ? [] : [`${name}.${column}`],
  );
}

/** RFC 7047 §3.2: a type is an atomic type's name, or an object of key, value, min, max. */
function fits(wanted: ColumnType, type: Json | undefined): boolean {
  if (type === undefined || isList(type)) return false;
  if (!isRecord(type)) return type === wanted.key && wanted.value === undefined && wanted.count === 'one';
  const { key, value, min = 1, max = 1 } = type;
  const many = max === 'unlimited' || (typeof max === 'number' && max > 1);
  const count = many ? 'many' : min === 0 ? 'optional' : 'one';
  return atomic(key) === wanted.key && atomic(value) === wanted.value && count === wanted.count;
}

function atomic(base: Json | undefined): Json | undefined {
  return isRecord(base) ? base.type : base;
}
