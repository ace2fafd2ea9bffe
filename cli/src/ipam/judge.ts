/** Whether the CNI plugin's book of addresses is right: what it says against links, pods' interfaces and the API. Pure. */
import { contains, parsePrefix } from '../../../agent/src/wire/address.ts';

/** One attachment of the book (docs/cni.md): a pod's interface with its addresses. */
export interface Attachment {
  /** The record's name in the store. */
  readonly key: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly addresses: readonly string[];
  /** `namespace/name`; null: the runtime did not tell. */
  readonly pod: string | null;
  /** Its ADD came to the end. */
  readonly finished: boolean;
  readonly thisBoot: boolean;
  /** A process is at work on it. */
  readonly busy: boolean;
  /** The host end of its link is there; that lives as long as the pod's namespace. */
  readonly link: boolean;
  /** What the pod's interface has, without link-local addresses; null: could not be seen. */
  readonly carried: readonly string[] | null;
}

export interface Book {
  readonly network: string;
  readonly subnets: readonly string[];
  readonly attachments: readonly Attachment[];
  /** Records that cannot be read. */
  readonly garbled: readonly string[];
  /** Addresses that are given away, by the names of their files. */
  readonly given: readonly string[];
  /** Host ends of pods' links that no record is of. */
  readonly strangers: readonly string[];
}

/** A pod at the API server, on this node and not with its network. */
export interface PodFact {
  /** `namespace/name`. */
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * `leaked`: given away, and nobody can use it. `duplicate`: two have it. `outside`: not of this node's prefixes. `unrecorded`: used, and the
 * book does not have it. `unlike`: the pod's interface has something else than the book says.
 */
export type Kind = 'leaked' | 'duplicate' | 'outside' | 'unrecorded' | 'unlike';

export interface Problem {
  readonly kind: Kind;
  readonly addresses: readonly string[];
  /** One sentence. */
  readonly text: string;
  readonly fix: string;
}

const RELEASE = 'evio ipam check --fix releases it';

/** `pods`: of the API; undefined: nobody was asked. */
export function problemsOf(book: Book, pods: readonly PodFact[] | undefined): readonly Problem[] {
  return [
    ...book.attachments.flatMap(leaked),
    ...strays(book),
    ...duplicates(book, pods ?? []),
    ...book.given.flatMap((address) => outside(address, book.subnets)),
    ...book.attachments.flatMap(unlike),
    ...book.strangers.map(stranger),
    ...(pods === undefined ? [] : pods.flatMap((pod) => unrecorded(pod, book))),
  ];
}

const whose = ({ pod, containerId, ifname }: Attachment): string =>
  `${pod === null ? '' : `pod ${pod}, `}container ${containerId.slice(0, 12)}, ${ifname}`;
const listed = (addresses: readonly string[]): string => addresses.join(' and ') || 'no address';

/** As the plugin's sweep judges (cni-plugin/src/record.rs, `Seen::is_dead`). */
export const isDead = ({ busy, finished, thisBoot, link }: Attachment): boolean =>
  !busy && (!thisBoot || !finished || !link);

function leaked(one: Attachment): readonly Problem[] {
  if (!isDead(one)) return [];
  const why = !one.thisBoot
    ? 'it is of an earlier boot'
    : !one.finished
      ? 'its ADD was cut off'
      : 'its link is gone, and with it the pod';
  const text = `${listed(one.addresses)} of ${whose(one)} is held for nobody: ${why}`;
  return [{ kind: 'leaked', addresses: one.addresses, text, fix: RELEASE }];
}

function strays({ attachments, given, garbled }: Book): readonly Problem[] {
  const led = new Set(attachments.flatMap(({ addresses }) => addresses));
  const lost = given.filter((address) => !led.has(address));
  return [
    ...lost.map(
      (address): Problem => ({
        kind: 'leaked',
        addresses: [address],
        text: `${address} is given away, and no record leads to it`,
        fix: RELEASE,
      }),
    ),
    ...garbled.map(
      (key): Problem => ({
        kind: 'leaked',
        addresses: [],
        text: `the record ${key} cannot be read, so that nobody has what it held`,
        fix: RELEASE,
      }),
    ),
  ];
}

function duplicates({ attachments }: Book, pods: readonly PodFact[]): readonly Problem[] {
  const holders = new Map<string, Set<string>>();
  const hold = (address: string, who: string): void => {
    holders.set(address, (holders.get(address) ?? new Set()).add(who));
  };
  for (const one of attachments.filter((each) => !isDead(each)))
    for (const address of new Set([...one.addresses, ...(one.carried ?? [])])) hold(address, one.pod ?? whose(one));
  for (const { name, addresses } of pods) for (const address of addresses) hold(address, name);
  return [...holders]
    .filter(([, who]) => who.size > 1)
    .map(([address, who]) => ({
      kind: 'duplicate',
      addresses: [address],
      text: `${address} is held by ${[...who].sort().join(' and by ')}`,
      fix: 'delete one of these pods; it is made anew with an address of its own',
    }));
}

function outside(address: string, subnets: readonly string[]): readonly Problem[] {
  if (subnets.some((subnet) => contains(parsePrefix(subnet), address))) return [];
  return [
    {
      kind: 'outside',
      addresses: [address],
      text: `${address} is not within ${subnets.join(' or ')}, this node's prefixes: no other node sends there`,
      fix: 'delete its pod; it is made anew with an address of this node',
    },
  ];
}

function unlike(one: Attachment): readonly Problem[] {
  if (isDead(one) || one.busy || one.carried === null) return [];
  const missing = one.addresses.filter((address) => one.carried?.includes(address) === false);
  const more = one.carried.filter((address) => !one.addresses.includes(address));
  if (missing.length + more.length === 0) return [];
  const parts = [
    ...(missing.length === 0 ? [] : [`lacks ${listed(missing)}`]),
    ...(more.length === 0 ? [] : [`has ${listed(more)} that it was not given`]),
  ];
  return [
    {
      kind: 'unlike',
      addresses: [...missing, ...more],
      text: `the interface of ${whose(one)} ${parts.join(' and ')}`,
      fix: 'somebody has changed it within the pod; delete the pod',
    },
  ];
}

const stranger = (link: string): Problem => ({
  kind: 'unrecorded',
  addresses: [],
  text: `${link} is the link of a pod that the book does not know`,
  fix: 'find its pod (ip link show; the alias has its name) and delete it; until then --fix does nothing, because a sweep would cut it off',
});

function unrecorded({ name, addresses }: PodFact, { given, subnets }: Book): readonly Problem[] {
  const ours = addresses.filter((address) => subnets.some((subnet) => contains(parsePrefix(subnet), address)));
  const missing = ours.filter((address) => !given.includes(address));
  if (missing.length === 0) return [];
  return [
    {
      kind: 'unrecorded',
      addresses: missing,
      text: `pod ${name} has ${listed(missing)}, which the book has given to nobody: the next pod may get it too`,
      fix: `delete the pod; it is made anew`,
    },
  ];
}
