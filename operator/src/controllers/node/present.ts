/** Changes of an EvioNode that was seen, and of no other. */
import { isConflict, isInvalid } from '../../../../agent/src/kube-api/client.ts';
import { EVIO_NODE, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Applied } from '../../../../agent/src/kube-api/object.ts';
import type { World } from '../world.ts';

/**
 * False: it is gone, or another one has its name; look again. Server-side apply makes what is not there: without the uid a machine that is
 * deleted while this is under way would be made again with its keys, and be a member for all that it was revoked.
 */
export async function applyPresent(
  { client, members }: Pick<World, 'client' | 'members'>,
  present: EvioNode,
  wanted: Applied<EvioNode>,
): Promise<boolean> {
  const { name, uid } = present.metadata;
  try {
    members.leave(await client.apply(EVIO_NODE, { ...wanted, metadata: { ...wanted.metadata, uid } }));
    return true;
  } catch (error) {
    if (isConflict(error)) return false;
    // Of another one under its name the API server says that a uid does not change.
    if (isInvalid(error) && (await client.find(EVIO_NODE, name))?.metadata.uid !== uid) return false;
    throw error;
  }
}
