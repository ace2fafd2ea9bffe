/**
 * Keeps Open vSwitch as it is wanted, through its database: whatever differs is changed in one transaction, at first, after a
 * reconnect and when somebody changes it later, which is said in one line. Errors, and somebody who goes on undoing what we do, are
 * met ever later (Pace).
 */
import { earliest, type Instant, type Machine, type Random } from '../machine.ts';
import { Seldom } from '../seldom.ts';
import { Draft } from './draft.ts';
import { Pace } from './pace.ts';
import { datapathOf, NO_PLAN, type Plan, plan } from './plan.ts';
import { planRemoval } from './removal.ts';
import { numberOf, textOf } from './replica.ts';
import { Session, type SessionAction } from './session.ts';
import { type Status, statusOf } from './status.ts';
import { type Ours, sameWanted, type Wanted } from './wanted.ts';

/** ovs-vswitchd does what it is told within milliseconds, but opens devices one after the other. */
export const VSWITCHD_MS = 5_000;
const DIFFERENCES_SAID = 3;

export type KeeperEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'want'; readonly wanted: Wanted }
  /** Take away what is ours there, and want nothing any more. */
  | { readonly kind: 'remove'; readonly ours: Ours }
  /** Does ovs-vswitchd run, and has it done everything? */
  | { readonly kind: 'confirm' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'closed'; readonly reason: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stop' }
  | { readonly kind: 'deadline' };

export interface OvsState {
  /** ovsdb-server answers. Without it Open vSwitch keeps its flows, but see plan.ts for what it does not do. */
  readonly connected: boolean;
  /** Bridge and ports are as wanted, and ovs-vswitchd has said so. */
  readonly inPlace: boolean;
  /** OpenFlow numbers of the wanted ports by name, as last heard. */
  readonly ports: ReadonlyMap<string, number>;
  /** Those of the bridge's other ports, which are somebody else's. */
  readonly others: ReadonlyMap<string, number>;
  readonly problems: readonly string[];
  /** Of Open vSwitch, '' while unknown. */
  readonly version: string;
}

export type KeeperAction =
  | { readonly kind: 'connect' }
  | { readonly kind: 'send'; readonly text: string }
  | { readonly kind: 'close' }
  | { readonly kind: 'state'; readonly state: OvsState }
  | { readonly kind: 'confirmed'; readonly error: string | undefined }
  | { readonly kind: 'removed' }
  | { readonly kind: 'say'; readonly level: 'info' | 'warn'; readonly text: string };

type Tag = 'mend' | 'remove' | 'confirm';

const NO_STATUS: Status = { ports: new Map(), others: new Map(), complete: false, behind: false, problems: [] };

export class Keeper implements Machine<KeeperEvent, KeeperAction> {
  readonly #session: Session;
  readonly #pace = new Pace();
  readonly #seldom = new Seldom();
  #wanted: Wanted | undefined;
  #removing: Ours | undefined;
  /** What was wanted has been in the database: a difference is somebody's doing from now on. */
  #settled = false;
  /** The database's one row of all rows: another one is another database. */
  #root: string | undefined;
  /** The transaction whose outcome is awaited. */
  #sent: { readonly tag: Tag; readonly plan: Pick<Plan, 'operations' | 'notices'> } | undefined;
  /** Nothing is sent before. */
  #notBefore: Instant = 0;
  /** What somebody changed is mended then. */
  #mendAt: Instant | undefined;
  #lookAt: Instant | undefined;
  /** What somebody did, as last said, until it is mended. */
  #blamed = '';
  #unreachable: string | undefined;
  #refused: string | undefined;
  /** When it is said of ovs-vswitchd that it is behind. */
  #lateAt: Instant | undefined;
  #late = false;
  #confirm: { readonly until: Instant; generation: number | undefined } | undefined;
  #inPlace = false;
  #planned = NO_PLAN;
  #status = NO_STATUS;
  #known: readonly string[] = [];
  #told = '';

  constructor(random: Random) {
    this.#session = new Session(random);
  }

  deadline(): Instant | undefined {
    return earliest(this.#session.deadline(), this.#lookAt, this.#confirm?.until, this.#lateAt);
  }

  handle(event: KeeperEvent, now: Instant): readonly KeeperAction[] {
    const actions = this.#event(event, now);
    return event.kind === 'stop' ? actions : [...actions, ...this.#tell(now)];
  }

  #event(event: KeeperEvent, now: Instant): readonly KeeperAction[] {
    switch (event.kind) {
      case 'want':
        if (this.#wanted !== undefined && sameWanted(this.#wanted, event.wanted)) return [];
        this.#wanted = event.wanted;
        this.#removing = undefined;
        return this.#anew(now);
      case 'remove':
        this.#wanted = undefined;
        this.#removing = event.ours;
        return this.#anew(now);
      case 'confirm':
        this.#confirm = { until: now + VSWITCHD_MS, generation: undefined };
        return this.#look(now);
      case 'deadline':
        return [...this.#steps(this.#session.handle(event, now), now), ...this.#due(now)];
      case 'start':
        this.#unreachable = undefined;
        return this.#steps(this.#session.handle(event, now), now);
      default:
        return this.#steps(this.#session.handle(event, now), now);
    }
  }

  #anew(now: Instant): readonly KeeperAction[] {
    this.#settled = false;
    this.#inPlace = false;
    this.#mendAt = undefined;
    this.#notBefore = now;
    return this.#look(now);
  }

  #steps(actions: readonly SessionAction[], now: Instant): readonly KeeperAction[] {
    return actions.flatMap((action) => this.#step(action, now));
  }

  #step(action: SessionAction, now: Instant): readonly KeeperAction[] {
    switch (action.kind) {
      case 'up':
        this.#unreachable = undefined;
        this.#notBefore = now;
        return this.#look(now);
      case 'changed':
        return this.#look(now);
      case 'down':
        // Each attempt fails in words of its own: the first ones say it all.
        if (action.lasting) this.#unreachable = `the database of Open vSwitch is of no use: ${action.reason}`;
        else this.#unreachable ??= `ovsdb-server is away: ${action.reason}${this.#consequence()}`;
        this.#lateAt = undefined;
        return [];
      case 'outcome':
        return this.#outcome(action.error, now);
      default:
        return [action];
    }
  }

  #due(now: Instant): readonly KeeperAction[] {
    const actions: KeeperAction[] = [];
    if (this.#lateAt !== undefined && now >= this.#lateAt) {
      this.#lateAt = undefined;
      this.#late = true;
    }
    if (this.#confirm !== undefined && now >= this.#confirm.until)
      actions.push(this.#confirmed(this.#unreachable ?? this.#refused ?? VSWITCHD_AWAY));
    if (this.#lookAt !== undefined && now >= this.#lookAt) actions.push(...this.#look(now));
    return actions;
  }

  /** See plan.ts. */
  #consequence(): string {
    const bridge = this.#wanted && this.#session.replica.named('Bridge', this.#wanted.bridge);
    const stops = bridge !== undefined && datapathOf(bridge) === 'netdev';
    return stops ? '; until it is back ovs-vswitchd passes no frames (datapath_type netdev)' : '';
  }

  #rootNow(): string | undefined {
    return this.#session.replica.rows('Open_vSwitch')[0]?.uuid;
  }

  /** Compares, and sends what mends the difference if it is time for it. */
  #look(now: Instant): readonly KeeperAction[] {
    this.#lookAt = undefined;
    if (!this.#session.up) return [];
    this.#compare(now);
    if (this.#sent !== undefined) return [];
    if (this.#removing !== undefined) return this.#remove(this.#removing, now);
    const { operations, differences, meddled } = this.#planned;
    if (operations.length === 0) return this.#confirming(now);
    if (this.#settled && differences.length > 0) this.#mendAt ??= this.#pace.afterChange(now);
    if (this.#early(now)) return [];
    this.#mendAt = undefined;
    const blame = this.#blame(this.#settled ? differences : meddled, now);
    // What follows is ours too.
    if (this.#planned.waits) this.#settled = false;
    return [...blame, ...this.#transact('mend', this.#planned, now)];
  }

  #compare(now: Instant): void {
    const { replica } = this.#session;
    const taken = this.#planned.taken.join();
    this.#planned = this.#wanted === undefined ? NO_PLAN : plan(replica, this.#wanted);
    const mending = this.#planned.operations.length > 0 || this.#planned.waits;
    this.#status = this.#wanted === undefined ? NO_STATUS : statusOf(replica, this.#wanted, mending);
    // Who lets go of a name has deleted nothing of ours.
    if (taken !== this.#planned.taken.join()) this.#settled = false;
    if (!this.#status.behind) {
      this.#lateAt = undefined;
      this.#late = false;
    } else if (!this.#late) this.#lateAt ??= now + VSWITCHD_MS;
    if (this.#wanted === undefined || mending) return;
    this.#settled = true;
    this.#root = this.#rootNow();
    this.#mendAt = undefined;
    this.#blamed = '';
    this.#refused = undefined;
    this.#pace.well();
  }

  #remove(ours: Ours, now: Instant): readonly KeeperAction[] {
    const removal = planRemoval(this.#session.replica, ours);
    if (removal.operations.length === 0) {
      this.#removing = undefined;
      return [{ kind: 'removed' }];
    }
    if (this.#early(now)) return [];
    return [...removal.problems.map(warning), ...this.#transact('remove', removal, now)];
  }

  #early(now: Instant): boolean {
    const at = Math.max(this.#notBefore, this.#mendAt ?? this.#notBefore);
    if (now >= at) return false;
    this.#lookAt = at;
    return true;
  }

  #blame(differences: readonly string[], now: Instant): readonly KeeperAction[] {
    if (differences.length === 0) return [];
    const more = differences.length - DIFFERENCES_SAID;
    const some = differences.slice(0, DIFFERENCES_SAID).join(', ') + (more > 0 ? ` and ${more} more` : '');
    const what = !this.#settled || this.#root === this.#rootNow() ? some : 'emptied the database of Open vSwitch';
    if (what === this.#blamed) return [];
    this.#blamed = what;
    return this.#seldomly([`somebody ${what}; put back`], now);
  }

  #transact(tag: Tag, plan: Pick<Plan, 'operations' | 'notices'>, now: Instant): readonly KeeperAction[] {
    this.#sent = { tag, plan };
    return this.#steps(this.#session.handle({ kind: 'transact', operations: plan.operations, tag }, now), now);
  }

  #outcome(error: string | undefined, now: Instant): readonly KeeperAction[] {
    const sent = this.#sent;
    this.#sent = undefined;
    if (!this.#session.up) return [];
    this.#compare(now);
    if (error !== undefined) {
      this.#refused = refusal(error);
      this.#notBefore = this.#pace.afterError(now);
      if (sent?.tag === 'confirm' && this.#confirm !== undefined) this.#confirm.generation = undefined;
      return this.#look(now);
    }
    this.#refused = undefined;
    // What was done and still is to be done would be done without end.
    const same = JSON.stringify(sent?.plan.operations) === JSON.stringify(this.#planned.operations);
    if (sent?.tag === 'mend' && same) this.#notBefore = this.#pace.afterError(now);
    return [...this.#seldomly(sent?.plan.notices ?? [], now), ...this.#look(now)];
  }

  #seldomly(lines: readonly string[], now: Instant): readonly KeeperAction[] {
    return lines.flatMap((text) => this.#seldom.line(text, now) ?? []).map(warning);
  }

  /** It is asked to look at everything once more: cur_cfg follows only when it has. */
  #confirming(now: Instant): readonly KeeperAction[] {
    const [root] = this.#session.replica.rows('Open_vSwitch');
    if (this.#confirm === undefined || root === undefined) return [];
    if (this.#confirm.generation === undefined) {
      if (this.#early(now)) return [];
      this.#confirm.generation = (numberOf(root, 'next_cfg') ?? 0) + 1;
      const draft = new Draft();
      draft.add('Open_vSwitch', root, 'next_cfg', 1);
      return this.#transact('confirm', { operations: draft.operations, notices: [] }, now);
    }
    return (numberOf(root, 'cur_cfg') ?? 0) >= this.#confirm.generation ? [this.#confirmed(undefined)] : [];
  }

  #confirmed(error: string | undefined): KeeperAction {
    this.#confirm = undefined;
    return { kind: 'confirmed', error };
  }

  /** Once in place it stays so while ovs-vswitchd looks at what others ask of it. */
  #judge(): boolean {
    const { complete, behind } = this.#status;
    const { operations, waits } = this.#planned;
    const known = this.#session.up && this.#wanted !== undefined && operations.length === 0 && !waits;
    this.#inPlace = known && complete && !this.#late && (!behind || this.#inPlace);
    return this.#inPlace;
  }

  #tell(now: Instant): readonly KeeperAction[] {
    const [root] = this.#session.replica.rows('Open_vSwitch');
    const connected = this.#session.up;
    const problems = [
      this.#unreachable,
      this.#refused,
      ...this.#planned.problems,
      ...this.#status.problems,
      this.#late ? VSWITCHD_AWAY : undefined,
    ].filter((problem) => problem !== undefined);
    const inPlace = this.#judge();
    const version = root === undefined ? '' : textOf(root, 'ovs_version');
    const { ports, others } = this.#status;
    const state: OvsState = { connected, inPlace, ports, others, problems, version };
    const told = JSON.stringify([connected, inPlace, [...ports], [...others], problems, version]);
    if (told === this.#told) return [];
    this.#told = told;
    const fresh = problems.filter((problem) => !this.#known.includes(problem));
    const over = inPlace && this.#known.some((problem) => !problems.includes(problem));
    // What comes and goes before all is well again is said once.
    this.#known = inPlace ? problems : [...this.#known, ...fresh];
    const text = problems.length === 0 ? 'Open vSwitch is as wanted again' : 'Open vSwitch is there again';
    const well: KeeperAction = { kind: 'say', level: 'info', text };
    return [...this.#seldomly(fresh, now), ...(over ? [well] : []), { kind: 'state', state }];
  }
}

const VSWITCHD_AWAY = `ovs-vswitchd has not done for ${VSWITCHD_MS / 1_000} s what the database wants; does it run?`;

/** ovsdb-server calls a full disk an I/O error and adds the system's words. */
function refusal(error: string): string {
  return /no space left|disk quota/i.test(error)
    ? `the disk of Open vSwitch's database is full (${error}); make room, it is tried again`
    : `ovsdb-server refused the change (${error}); it is tried again`;
}

function warning(text: string): KeeperAction {
  return { kind: 'say', level: 'warn', text };
}
