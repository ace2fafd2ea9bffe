/** Which flows a frame meets in the tables of a switch, as that holds them now. Pure; what Open vSwitch's own `ofproto/trace` does for its tables. */
import { familyOf, parseAddress } from '../wire/address.ts';
import { parseMac } from '../wire/mac.ts';
import { type FieldName, type FlowStats, fullMask, toNumber } from './openflow/index.ts';

/** Of a frame; a field it does not have matches nothing. */
export type Fields = { readonly [name in FieldName]?: bigint };

export interface LookedUp<F extends FlowStats = FlowStats> {
  readonly table: number;
  /** Undefined: no flow of the table matches, and the frame ends here. */
  readonly flow: F | undefined;
}

/** An ICMP echo request. */
export interface Echo {
  readonly inPort: number;
  readonly fromMac: string;
  readonly toMac: string;
  /** Of one family. */
  readonly from: string;
  readonly to: string;
}

export function echoFields(echo: Echo): Fields {
  const [source, destination] = [toNumber(parseAddress(echo.from)), toNumber(parseAddress(echo.to))];
  const common = {
    in_port: BigInt(echo.inPort),
    eth_src: toNumber(parseMac(echo.fromMac)),
    eth_dst: toNumber(parseMac(echo.toMac)),
    tunnel_id: 0n,
  };
  return familyOf(echo.to) === 4
    ? { ...common, eth_type: 0x0800n, ip_proto: 1n, ipv4_src: source, ipv4_dst: destination }
    : { ...common, eth_type: 0x86ddn, ip_proto: 58n, icmpv6_type: 128n, ipv6_src: source, ipv6_dst: destination };
}

/** From table 0 on, by goto instructions, with the fields that flows set on the way. */
export function lookUp<F extends FlowStats>(flows: readonly F[], fields: Fields): readonly LookedUp<F>[] {
  const met: LookedUp<F>[] = [];
  let now = fields;
  let table: number | undefined = 0;
  while (table !== undefined) {
    const flow: F | undefined = best(flows, table, now);
    met.push({ table, flow });
    if (flow === undefined) break;
    now = changed(now, flow);
    table = gotoOf(flow);
  }
  return met;
}

/** A goto leads only on (OpenFlow 1.3.5 §5.1), so following it ends. */
function gotoOf({ table, instructions }: FlowStats): number | undefined {
  return instructions.flatMap((one) => (one.type === 'goto' && one.table > table ? [one.table] : []))[0];
}

function best<F extends FlowStats>(flows: readonly F[], table: number, fields: Fields): F | undefined {
  let found: F | undefined;
  for (const flow of flows)
    if (flow.table === table && (found === undefined || flow.priority > found.priority) && matches(flow, fields))
      found = flow;
  return found;
}

function matches({ match }: FlowStats, fields: Fields): boolean {
  return (Object.keys(match) as FieldName[]).every((name) => {
    const [wanted, value] = [match[name], fields[name]];
    if (wanted === undefined) return true;
    const mask = wanted.mask ?? fullMask(name);
    return value !== undefined && (value & mask) === (wanted.value & mask);
  });
}

function changed(fields: Fields, flow: FlowStats): Fields {
  const set = flow.instructions.flatMap((one) =>
    one.type === 'apply' ? one.actions.flatMap((action) => (action.type === 'set-field' ? [action.field] : [])) : [],
  );
  return set.length === 0 ? fields : { ...fields, ...Object.fromEntries(set.map(({ name, value }) => [name, value])) };
}
