/**
 * From what is in the database and what is wanted to one transaction that changes the difference, or to none. What exists is adopted;
 * ports of others, and all settings that we do not need, stay.
 *
 * No Controller record is wanted. ovs-vswitchd listens on `<rundir>/<bridge>.mgmt` by itself, and a controller that connects there
 * is served like one that the switch connects to: tried with 3.1, it gets packet-ins, flow-removed and port-status as soon as it sets
 * a miss_send_len (a service connection hears nothing before, connmgr.c ofconn_receives_async_msg), and a role request is honoured. So
 * the agent is a client of Open vSwitch as it is of tincan, the socket is root's, and nothing is left in the database that would have
 * a switch without an agent call somebody. fail_mode=secure holds without controllers too (ovs-vswitchd.conf.db(5)).
 *
 * By either kind of socket ovs-vswitchd answers no OpenFlow while ovsdb-server is away: bridge_run (bridge.c) returns without its lock
 * in the database. A netdev datapath is run by the same loop, so no frame passes either (seen with 3.1); flows and ports stay, and all
 * goes on when ovs-vswitchd has found the server again, after 1 to 8 s.
 */
import { Draft } from './draft.ts';
import type { Json } from './json-rpc.ts';
import { mapOf, numberOf, type Replica, type Row, textOf, textsOf } from './replica.ts';
import { type Datum, sameDatum } from './value.ts';
import { MARK, OPENED, TSO, type Wanted } from './wanted.ts';

export interface Plan {
  readonly operations: readonly Json[];
  /** The differences that it mends, each as what somebody did who made it: "deleted port t1". */
  readonly differences: readonly string[];
  /** What is not as wanted and stays so. */
  readonly problems: readonly string[];
  /** Those that somebody must have made even if it is the first time that we look: what we never want otherwise. */
  readonly meddled: readonly string[];
  /** What people have to know when it has been carried out. */
  readonly notices: readonly string[];
  /** Something more is to be done once ovs-vswitchd has done what it was told. */
  readonly waits: boolean;
  /** Wanted ports whose names others have. */
  readonly taken: readonly string[];
}

export const NO_PLAN: Plan = {
  operations: [],
  differences: [],
  problems: [],
  meddled: [],
  notices: [],
  waits: false,
  taken: [],
};

const RESTART = `other_config:${TSO} of Open vSwitch was not set and is now: restart ovs-vswitchd once, until then TCP of interfaces with offload is dropped`;
const PROTOCOLS = ['OpenFlow13'];

interface PortSpec {
  readonly name: string;
  readonly type: '' | 'internal';
  readonly number?: number;
  readonly mtu?: number;
}

export function plan(db: Replica, wanted: Wanted): Plan {
  return new Planner(db, wanted).plan();
}

class Planner {
  readonly #db: Replica;
  readonly #wanted: Wanted;
  readonly #draft = new Draft();
  readonly #differences: string[] = [];
  readonly #problems: string[] = [];
  readonly #notices: string[] = [];
  #meddled: readonly string[] = [];
  #waits = false;
  readonly #taken: string[] = [];
  readonly #mark: ReadonlyMap<string, string>;

  constructor(db: Replica, wanted: Wanted) {
    this.#db = db;
    this.#wanted = wanted;
    this.#mark = new Map([[MARK, wanted.overlay]]);
  }

  plan(): Plan {
    const { bridge: name } = this.#wanted;
    const [root] = this.#db.rows('Open_vSwitch');
    const bridge = this.#db.named('Bridge', name);
    if (bridge !== undefined) {
      const owner = mapOf(bridge, 'external_ids').get(MARK);
      if (owner === undefined || owner === this.#wanted.overlay) this.#adopt(bridge);
      else
        this.#problems.push(
          `bridge ${name} belongs to overlay ${owner}; name another one, or remove it: ovs-vsctl del-br ${name}`,
        );
    } else this.#make(root);
    if (root !== undefined) this.#offload(root, bridge);
    if (this.#draft.operations.length > 0) this.#finish(root, bridge);
    return {
      operations: this.#draft.operations,
      differences: this.#differences,
      problems: this.#problems,
      meddled: this.#meddled,
      notices: this.#notices,
      waits: this.#waits,
      taken: this.#taken,
    };
  }

  /** ovs-vswitchd shows by cur_cfg that it has done what was wanted by this next_cfg. */
  #finish(root: Row | undefined, bridge: Row | undefined): void {
    const news = this.#differences.length > 0 || this.#waits;
    if (root !== undefined && news) this.#draft.add('Open_vSwitch', root, 'next_cfg', 1);
    if (bridge !== undefined) this.#draft.onlyWith('Bridge', bridge, 'name');
    this.#draft.comment(`evio: ${this.#differences.length} differences of bridge ${this.#wanted.bridge} mended`);
  }

  #make(root: Row | undefined): void {
    const { bridge: name, datapath } = this.#wanted;
    const [own, ...taps] = this.#specs();
    if (own === undefined || !this.#claim(own.name, undefined)) return;
    const specs = [own, ...taps.filter((tap) => this.#claim(tap.name, undefined))];
    this.#differences.push(`deleted bridge ${name}`);
    const bridge = this.#draft.insert('Bridge', {
      name: [name],
      datapath_type: [datapath],
      fail_mode: ['secure'],
      protocols: PROTOCOLS,
      other_config: this.#bridgeConfig(),
      external_ids: this.#mark,
      ports: specs.map((spec) => this.#insertPort(spec)),
    });
    if (root === undefined) {
      const tso: Datum = datapath === 'netdev' ? new Map([[TSO, 'true']]) : new Map();
      this.#draft.insert('Open_vSwitch', { bridges: [bridge], next_cfg: [1], other_config: tso });
      if (datapath === 'netdev') this.#notices.push(RESTART);
    } else this.#draft.mutate('Open_vSwitch', root, 'bridges', 'insert', [bridge]);
  }

  #adopt(bridge: Row): void {
    const { bridge: name, datapath } = this.#wanted;
    const type = datapathOf(bridge);
    if (type !== datapath)
      this.#problems.push(
        `bridge ${name} has datapath_type ${type}, where ${datapath} would be made; it stays as it is`,
      );
    this.#set('Bridge', bridge, `bridge ${name}`, { fail_mode: ['secure'], protocols: PROTOCOLS });
    this.#noController(bridge);
    this.#meddled = [...this.#differences];
    this.#keys('Bridge', bridge, `bridge ${name}`, 'other_config', this.#bridgeConfig());
    const behind = isBehind(this.#db);
    const present = new Map(this.#portsOf(bridge).map((port) => [textOf(port, 'name'), port]));
    const added = this.#specs().flatMap((spec) => {
      const port = present.get(spec.name);
      if (port !== undefined) this.#adoptPort(port, spec);
      else if (behind) this.#waits = true;
      else if (this.#claim(spec.name, bridge)) {
        this.#differences.push(`deleted port ${spec.name}`);
        return [this.#insertPort(spec)];
      }
      return [];
    });
    this.#draft.mutate('Bridge', bridge, 'ports', 'insert', added);
    const names = new Set(this.#specs().map((spec) => spec.name));
    const obsolete = [...present.values()].filter((port) => this.#ours(port) && !names.has(textOf(port, 'name')));
    for (const port of obsolete) this.#differences.push(`added port ${textOf(port, 'name')} in our name`);
    const replaced = [...present.values()].filter((port) => this.#replaced(port));
    if (replaced.length > 0) this.#waits = true;
    const gone = [...obsolete, ...replaced.filter((port) => !obsolete.includes(port))].map((port) => port.uuid);
    this.#draft.mutate('Bridge', bridge, 'ports', 'delete', gone);
  }

  /**
   * A device that is made anew under the same name, as tincan's taps are, is not opened anew: ovs-vswitchd says nothing of it and no
   * frame comes from there any more (seen with 3.1, netdev). Only when its port has gone and comes back it is; both in one transaction
   * are no change to ovs-vswitchd, so the second follows when it has done the first.
   */
  #replaced(port: Row): boolean {
    const row = this.#db.row('Interface', textsOf(port, 'interfaces')[0] ?? '');
    const opened = row && mapOf(row, 'external_ids').get(OPENED);
    const is = row && numberOf(row, 'ifindex');
    return this.#ours(port) && opened !== undefined && (is ?? 0) > 0 && opened !== String(is);
  }

  /** Whoever controls the bridge besides us changes flows that are ours. */
  #noController(bridge: Row): void {
    const controllers = textsOf(bridge, 'controller');
    if (controllers.length === 0) return;
    const targets = controllers.map((uuid) => textOf(this.#db.row('Controller', uuid) ?? bridge, 'target'));
    this.#differences.push(`set controller ${targets.join(', ')} on bridge ${this.#wanted.bridge}`);
    this.#draft.update('Bridge', bridge, { controller: [] });
  }

  #insertPort(spec: PortSpec): string {
    const { name } = spec;
    const interfaces = [this.#insertInterface(spec)];
    return this.#draft.insert('Port', { name: [name], interfaces, external_ids: this.#markOf(spec) });
  }

  #insertInterface(spec: PortSpec): string {
    return this.#draft.insert('Interface', {
      name: [spec.name],
      type: [spec.type],
      ...requests(spec),
      external_ids: this.#markOf(spec),
    });
  }

  #adoptPort(port: Row, spec: PortSpec): void {
    const what = `port ${spec.name}`;
    const [uuid, ...more] = textsOf(port, 'interfaces');
    const row = uuid === undefined ? undefined : this.#db.row('Interface', uuid);
    if (row === undefined || more.length > 0 || textOf(row, 'name') !== spec.name) {
      this.#differences.push(`changed interfaces of ${what}`);
      this.#draft.update('Port', port, { interfaces: [this.#insertInterface(spec)] });
    } else {
      this.#set('Interface', row, what, { type: [spec.type], ...requests(spec) });
      this.#keys('Interface', row, what, 'external_ids', this.#markOf(spec));
      this.#opened(row, spec);
    }
    this.#set('Port', port, what, { tag: [] });
    this.#keys('Port', port, what, 'external_ids', this.#markOf(spec));
  }

  /** Whether a port can have this name: they are unique in the whole database. One of ours that somebody moved comes back. */
  #claim(name: string, bridge: Row | undefined): boolean {
    const holder = this.#db
      .rows('Port')
      .find((p) => textOf(p, 'name') === name || this.#interfaceNames(p).includes(name));
    if (holder === undefined) return true;
    const other = this.#db.rows('Bridge').find((b) => b !== bridge && textsOf(b, 'ports').includes(holder.uuid));
    if (other !== undefined && this.#ours(holder)) {
      this.#draft.mutate('Bridge', other, 'ports', 'delete', [holder.uuid]);
      return true;
    }
    this.#taken.push(name);
    const [port, place] = [textOf(holder, 'name'), textOf(other ?? bridge ?? holder, 'name')];
    this.#problems.push(
      `the name ${name} is taken by port ${port} of bridge ${place}; remove it there: ovs-vsctl del-port ${place} ${port}`,
    );
    return false;
  }

  /** Nobody's doing, hence no difference. */
  #opened(row: Row, { type }: PortSpec): void {
    const [is, number] = [numberOf(row, 'ifindex') ?? 0, numberOf(row, 'ofport') ?? 0];
    if (type === 'internal' || is <= 0 || number <= 0 || mapOf(row, 'external_ids').has(OPENED)) return;
    this.#draft.putKeys('Interface', row, 'external_ids', new Map([[OPENED, String(is)]]));
  }

  #interfaceNames(port: Row): readonly string[] {
    return textsOf(port, 'interfaces').map((uuid) => textOf(this.#db.row('Interface', uuid) ?? port, 'name'));
  }

  /** Who decided the setting otherwise had a reason. */
  #offload(root: Row, bridge: Row | undefined): void {
    if ((bridge === undefined ? this.#wanted.datapath : datapathOf(bridge)) !== 'netdev') return;
    const is = mapOf(root, 'other_config').get(TSO);
    if (is === undefined) {
      this.#notices.push(RESTART);
      this.#differences.push(`unset ${TSO}`);
      this.#draft.putKeys('Open_vSwitch', root, 'other_config', new Map([[TSO, 'true']]));
    } else if (is !== 'true')
      this.#problems.push(
        `other_config:${TSO} of Open vSwitch is ${is}: TCP of interfaces with offload is dropped; set it to true and restart ovs-vswitchd`,
      );
  }

  #set(table: 'Bridge' | 'Port' | 'Interface', row: Row, what: string, columns: Readonly<Record<string, Datum>>): void {
    const differing = Object.entries(columns).filter(([name, value]) => !sameDatum(row.columns[name] ?? [], value));
    if (differing.length === 0) return;
    for (const [name] of differing) {
      const is = textsOf(row, name).join(',');
      this.#differences.push(is === '' ? `unset ${name} of ${what}` : `set ${name} of ${what} to ${is}`);
    }
    this.#draft.update(table, row, Object.fromEntries(differing));
  }

  #keys(
    table: 'Bridge' | 'Port' | 'Interface',
    row: Row,
    what: string,
    column: string,
    pairs: ReadonlyMap<string, string>,
  ) {
    const present = mapOf(row, column);
    const differing = new Map([...pairs].filter(([key, value]) => present.get(key) !== value));
    if (differing.size === 0) return;
    for (const key of differing.keys()) {
      const is = present.get(key);
      this.#differences.push(
        is === undefined ? `unset ${column}:${key} of ${what}` : `set ${column}:${key} of ${what} to ${is}`,
      );
    }
    this.#draft.putKeys(table, row, column, differing);
  }

  /** The bridge's own port first. */
  #specs(): readonly PortSpec[] {
    const { bridge, mtu, ports } = this.#wanted;
    const taps = ports.filter(({ name }) => name !== bridge).map((port) => ({ ...port, type: '' }) as const);
    return [{ name: bridge, type: 'internal', mtu }, ...new Map(taps.map((tap) => [tap.name, tap])).values()];
  }

  /** The bridge's own port goes with the bridge. */
  #markOf({ type }: PortSpec): ReadonlyMap<string, string> {
    return type === 'internal' ? new Map() : this.#mark;
  }

  #bridgeConfig(): ReadonlyMap<string, string> {
    return new Map([
      ['disable-in-band', 'true'],
      ['hwaddr', this.#wanted.mac],
    ]);
  }

  #portsOf(bridge: Row): readonly Row[] {
    return textsOf(bridge, 'ports').flatMap((uuid) => this.#db.row('Port', uuid) ?? []);
  }

  #ours(port: Row): boolean {
    return mapOf(port, 'external_ids').get(MARK) === this.#wanted.overlay;
  }
}

function requests({ number, mtu }: PortSpec): Readonly<Record<string, Datum>> {
  return {
    ...(number === undefined ? {} : { ofport_request: [number] }),
    ...(mtu === undefined ? {} : { mtu_request: [mtu] }),
  };
}

/** ovs-vswitchd has not done yet all that it was told. */
export function isBehind(db: Replica): boolean {
  const [root] = db.rows('Open_vSwitch');
  return root === undefined || (numberOf(root, 'cur_cfg') ?? 0) < (numberOf(root, 'next_cfg') ?? 0);
}

/** "" is "system" (ovs-vswitchd.conf.db(5)). */
export function datapathOf(bridge: Row): string {
  return textOf(bridge, 'datapath_type') || 'system';
}
