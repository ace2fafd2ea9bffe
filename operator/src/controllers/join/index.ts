/** The join controller: one key, the EvioNetwork. It has the machines answered that join by a token, at the server that is wanted. */

import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { type Controller, type Watching, watch } from '../../controller.ts';
import { peerOwnerOf } from '../../desired/peer.ts';
import { signallingIs } from '../../desired/signalling.ts';
import { isTokenSecret } from '../../desired/tokens.ts';
import { AUTHORITY_SECRET, SERVER } from '../../names.ts';
import type { World } from '../world.ts';

const KEY = NETWORK_NAME;

/** `signals`: what wakes it that is in no cache. */
export function joinController(world: World, signals: Watching): Controller {
  const ours = (): readonly string[] => [KEY];
  return {
    name: 'join',
    watches: [
      watch(world.networks, ours),
      watch(world.secrets, (secret) =>
        isTokenSecret(secret) || [AUTHORITY_SECRET, SERVER].includes(secret.metadata.name) ? [KEY] : [],
      ),
      watch(world.memberCache, (member) =>
        member.spec.machine === undefined && peerOwnerOf(member) === undefined ? [] : [KEY],
      ),
      signals,
    ],
    async reconcile() {
      const network = world.networks.get(KEY);
      const { authority } = world.book.read();
      const signalling =
        network === undefined || network.metadata.deletionTimestamp !== undefined
          ? undefined
          : world.signalling(network);
      // Without parameters nobody can be answered.
      if (
        authority === undefined ||
        authority.ledger.parameters === '' ||
        signalling === undefined ||
        !signallingIs(signalling)
      ) {
        world.join.want(undefined);
        return undefined;
      }
      world.join.want({ place: signalling.place, overlayId: authority.overlayId, authority: authority.key });
      world.join.look();
      return undefined;
    },
  };
}
