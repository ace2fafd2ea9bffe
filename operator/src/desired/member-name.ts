/** The name a node has in the overlay. */
import { isName } from '../../../agent/src/wire/ids.ts';
import { sha256 } from '../../../agent/src/wire/keys.ts';

const NAME_MAX = 63;
const HASH_CHARACTERS = 8;

/**
 * A Node's name may be a DNS subdomain of 253 characters, a member's is one label (docs/wire.md §2): the name itself where it is one,
 * else what is left of it and a hash of the whole, so that two Nodes are never called the same.
 */
export function memberNameOf(node: string): string {
  if (isName(node)) return node;
  const hash = sha256(Buffer.from(node)).toString('hex').slice(0, HASH_CHARACTERS);
  const kept = node
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, NAME_MAX - 1 - HASH_CHARACTERS)
    .replace(/^-+|-+$/g, '');
  return kept === '' ? hash : `${kept}-${hash}`;
}
