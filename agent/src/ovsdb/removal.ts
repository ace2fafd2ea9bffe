/** From what is in the database to one transaction that leaves nothing of ours in it. */
import { Draft } from './draft.ts';
import { NO_PLAN, type Plan } from './plan.ts';
import { mapOf, type Replica, type Row, textOf, textsOf } from './replica.ts';
import { MARK, type Ours } from './wanted.ts';

/** Takes away what is ours: the bridge if we made it and nobody else has a port there, else our ports. */
export function planRemoval(db: Replica, { overlay, bridge: name }: Ours): Plan {
  const [root] = db.rows('Open_vSwitch');
  const bridge = db.named('Bridge', name);
  if (root === undefined || bridge === undefined) return NO_PLAN;
  const draft = new Draft();
  const marked = (row: Row) => mapOf(row, 'external_ids').get(MARK) === overlay;
  // The bridge's own port stays with it.
  const ports = textsOf(bridge, 'ports').flatMap((uuid) => db.row('Port', uuid) ?? []);
  const [ours, others] = [true, false].map((is) =>
    ports.filter((port) => marked(port) === is && textOf(port, 'name') !== name),
  );
  const names = (rows: readonly Row[] = []) => rows.map((port) => textOf(port, 'name'));
  const problems: string[] = [];
  if (marked(bridge) && others?.length === 0) draft.mutate('Open_vSwitch', root, 'bridges', 'delete', [bridge.uuid]);
  else {
    const gone = ours?.map((port) => port.uuid) ?? [];
    draft.mutate('Bridge', bridge, 'ports', 'delete', gone);
    if (marked(bridge)) {
      draft.deleteKeys('Bridge', bridge, 'external_ids', [MARK]);
      problems.push(`bridge ${name} stays, for there are ports of somebody else in it: ${names(others).join(', ')}`);
    }
  }
  if (draft.operations.length > 0) draft.add('Open_vSwitch', root, 'next_cfg', 1);
  return { ...NO_PLAN, operations: draft.operations, problems };
}
