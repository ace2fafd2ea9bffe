/** The rows of the database as last told: updates of `monitor` (RFC 7047 §4.1.6) and of `monitor_cond` (ovsdb-server(7)) go in. */
import { DecodeError } from '../wire/reader.ts';
import { isRecord, type Json } from './json-rpc.ts';
import { columnsOf, type TableName, tableNames } from './schema.ts';
import { applyDifference, type Datum, decodeDatum, defaultOf, isMap } from './value.ts';

export interface Row {
  readonly uuid: string;
  readonly columns: Readonly<Record<string, Datum>>;
}

export class Replica {
  readonly #tables = new Map<TableName, Map<string, Row>>(tableNames().map((name) => [name, new Map()]));

  rows(table: TableName): readonly Row[] {
    return [...this.#rows(table).values()];
  }

  row(table: TableName, uuid: string): Row | undefined {
    return this.#rows(table).get(uuid);
  }

  named(table: TableName, name: string): Row | undefined {
    return this.rows(table).find((row) => textOf(row, 'name') === name);
  }

  set(table: TableName, row: Row): void {
    this.#rows(table).set(row.uuid, row);
  }

  delete(table: TableName, uuid: string): void {
    this.#rows(table).delete(uuid);
  }

  clear(): void {
    for (const rows of this.#tables.values()) rows.clear();
  }

  /** The `<table-updates>` of monitor's reply or of an `update`. Throws DecodeError: after that the replica is worth nothing. */
  update(updates: Json): void {
    this.#each(updates, (table, uuid, change) => {
      if (change.new === undefined) this.delete(table, uuid);
      else this.set(table, { uuid, columns: { ...this.row(table, uuid)?.columns, ...decodeRow(table, change.new) } });
    });
  }

  /** The `<table-updates2>` of monitor_cond's reply or of an `update2`. Columns with their default value are left out of them. */
  update2(updates: Json): void {
    this.#each(updates, (table, uuid, change) => {
      const whole = change.initial ?? change.insert;
      if (whole !== undefined) this.set(table, { uuid, columns: { ...defaults(table), ...decodeRow(table, whole) } });
      else if (change.modify !== undefined) this.#modify(table, uuid, change.modify);
      else this.delete(table, uuid);
    });
  }

  #modify(table: TableName, uuid: string, json: Json): void {
    const row = this.row(table, uuid);
    if (row === undefined) throw new DecodeError(`a change of row ${uuid} of ${table}, which is not known`);
    const columns = { ...row.columns };
    for (const [name, difference] of Object.entries(decodeRow(table, json))) {
      const type = columnsOf(table)[name];
      if (type !== undefined) columns[name] = applyDifference(type, columns[name] ?? [], difference);
    }
    this.set(table, { uuid, columns });
  }

  #each(updates: Json, take: (table: TableName, uuid: string, change: Readonly<Record<string, Json>>) => void): void {
    if (!isRecord(updates)) throw new DecodeError('updates that are no object');
    for (const table of tableNames()) {
      const rows = updates[table] ?? {};
      if (!isRecord(rows)) throw new DecodeError(`updates of ${table} that are no object`);
      for (const [uuid, change] of Object.entries(rows)) {
        if (!isRecord(change)) throw new DecodeError(`an update of ${table} that is no object`);
        take(table, uuid, change);
      }
    }
  }

  #rows(table: TableName): Map<string, Row> {
    const rows = this.#tables.get(table);
    if (rows === undefined) throw new Error(`no table ${table}`);
    return rows;
  }
}

function defaults(table: TableName): Record<string, Datum> {
  return Object.fromEntries(Object.entries(columnsOf(table)).map(([name, type]) => [name, defaultOf(type)]));
}

/** Columns that nobody asked for are passed over. */
function decodeRow(table: TableName, json: Json): Record<string, Datum> {
  if (!isRecord(json)) throw new DecodeError(`a row of ${table} that is no object`);
  const columns: Record<string, Datum> = {};
  for (const [name, type] of Object.entries(columnsOf(table))) {
    const value = json[name];
    if (value !== undefined) columns[name] = decodeDatum(type, value);
  }
  return columns;
}

/** The value of a column of one string, '' where there is none. */
export function textOf(row: Row, column: string): string {
  return listOf(row, column).map(String)[0] ?? '';
}

export function numberOf(row: Row, column: string): number | undefined {
  const [value] = listOf(row, column);
  return typeof value === 'number' ? value : undefined;
}

export function textsOf(row: Row, column: string): readonly string[] {
  return listOf(row, column).map(String);
}

export function mapOf(row: Row, column: string): ReadonlyMap<unknown, unknown> {
  const datum = row.columns[column];
  return datum !== undefined && isMap(datum) ? datum : new Map();
}

function listOf(row: Row, column: string): readonly unknown[] {
  const datum = row.columns[column];
  return datum === undefined || isMap(datum) ? [] : datum;
}
