/** A group's text, and the edits between the groups a switch has and those it is to have. */

import { actionText, type Flow } from './flow.ts';
import { type Action, ANY_GROUP, type Bucket, type Group, PORT } from './openflow/index.ts';

const TYPE_TEXT = { all: 'all', select: 'select', indirect: 'indirect', 'fast-failover': 'ff' } as const;

/** Most groups are looked at again and again and stay as they are. */
const TEXTS = new WeakMap<Group, string>();

/** One line, in the manner of `ovs-ofctl dump-groups`. */
export function groupText(group: Group): string {
  const known = TEXTS.get(group);
  if (known !== undefined) return known;
  const text = [`group_id=${group.group}`, `type=${TYPE_TEXT[group.type]}`, bucketsText(group)].join(',');
  TEXTS.set(group, text);
  return text;
}

/** What a group does, whatever its number. Weights count in `select` groups alone: switches may forget them elsewhere. */
export function bucketsText({ type, buckets }: Pick<Group, 'type' | 'buckets'>): string {
  const text = ({ weight, watchPort, watchGroup, actions }: Bucket) => [
    ...(type === 'select' ? [`weight:${weight}`] : []),
    ...(watchPort === PORT.any ? [] : [`watch_port:${watchPort}`]),
    ...(watchGroup === ANY_GROUP ? [] : [`watch_group:${watchGroup}`]),
    `actions=${actions.map(actionText).join(',') || 'drop'}`,
  ];
  return buckets.map((bucket) => `bucket=${text(bucket).join(',')}`).join(',');
}

export type GroupEdit = { readonly command: 'add' | 'modify' | 'delete'; readonly group: Group };

export type KnownGroups = ReadonlyMap<number, Group>;

/** Groups that have to be there before the flows that lead to them. */
export function missingGroups(known: KnownGroups, wanted: readonly Group[]): readonly GroupEdit[] {
  return wanted.flatMap((group): readonly GroupEdit[] => {
    const present = known.get(group.group);
    if (present === undefined) return [{ command: 'add', group }];
    return groupText(present) === groupText(group) ? [] : [{ command: 'modify', group }];
  });
}

/**
 * Groups of ours that nobody wants and no flow leads to any more: a switch deletes flows together with the group they lead to
 * (OpenFlow 1.3.5 §6.7).
 */
export function unusedGroups(
  known: KnownGroups,
  wanted: readonly Group[],
  flows: Iterable<Flow>,
): readonly GroupEdit[] {
  const needed = new Set(wanted.map(({ group }) => group));
  if ([...known.keys()].every((group) => needed.has(group))) return [];
  for (const group of groupsOf(flows)) needed.add(group);
  return [...known.values()].flatMap((group) =>
    needed.has(group.group) ? [] : [{ command: 'delete' as const, group }],
  );
}

function groupsOf(flows: Iterable<Flow>): readonly number[] {
  const inActions = (actions: readonly Action[]) => actions.flatMap((a) => (a.type === 'group' ? [a.group] : []));
  return [...flows].flatMap(({ instructions }) =>
    instructions.flatMap((i) => (i.type === 'apply' || i.type === 'write' ? inActions(i.actions) : [])),
  );
}
