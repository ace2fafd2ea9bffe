/**
 * What the authority of an overlay says to a request: by its tokens, and by who is registered. Whoever keeps the register carries it
 * out: the address book of `evio authority serve` allots and signs at once, an operator would make an object first.
 */
import { type Certificate, verifyCertificate } from '../wire/certificate.ts';
import { type NodeId, nodeIdOf } from '../wire/ids.ts';
import type { JoinBody, OpenedRequest, RefusalReason, RefusedBody, RenewBody } from '../wire/join-message.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { isDue } from './renewal.ts';
import { type Claim, standingOf, type Token, type TokenBook } from './tokens.ts';

/** A name that is taken, or was. */
export interface Registered {
  readonly id: NodeId;
  /** Of its newest certificate. */
  readonly serial: number;
  /** `pending`: its enrolment was never finished. */
  readonly state: 'pending' | 'enrolled' | 'revoked';
}

export type Verdict =
  /** A new node: allot addresses, sign, make the account, and write the claim down. */
  | { readonly kind: 'admit'; readonly token: Token; readonly node: NodeId; readonly body: JoinBody }
  /** The same node once more: what it got is in force, and told again. */
  | { readonly kind: 'repeat'; readonly claim: Claim }
  /** Tell this node what is newer than it says; `due`: a new certificate for the same keys too. */
  | { readonly kind: 'renew'; readonly name: string; readonly body: RenewBody; readonly due: boolean }
  /** Void this node's certificates up to this serial, and end its account. `done`: that is so already. */
  | { readonly kind: 'revoke'; readonly name: string; readonly node: NodeId; readonly done: boolean }
  | { readonly kind: 'refuse'; readonly answer: RefusedBody };

export const refusal = (reason: RefusalReason, message: string): RefusedBody => ({ type: 'refused', reason, message });

const refuse = (reason: RefusalReason, message: string): Verdict => ({
  kind: 'refuse',
  answer: refusal(reason, message),
});

const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
const ANOTHER = 'make another with: evio token create';

/**
 * `registered` looks a name up; `authorityKey` is the raw public key; `now` in seconds since 1970. A request by a node that came by its
 * token before is answered even when the token has ended since: it may be that its first answer was lost.
 */
export function judge(
  request: OpenedRequest,
  tokens: TokenBook,
  registered: (name: string) => Registered | undefined,
  authorityKey: Uint8Array,
  now: number,
): Verdict {
  const node = nodeIdOf(request.identityKey);
  const { body } = request;
  if (body.type === 'leave') return judgeLeave(knownBy(body.certificate, registered, authorityKey));
  if (body.type === 'renew') return judgeRenew(knownBy(body.certificate, registered, authorityKey), body, now);
  const standing = standingOf(tokens, request.secret, node, now);
  switch (standing.kind) {
    case 'unknown':
      return refuse('token', `the token is not known here: it was revoked, or is of another overlay; ${ANOTHER}`);
    case 'expired':
      return refuse('token', `the token expired at ${time(standing.token.expires)}; ${ANOTHER}`);
    case 'used':
      return refuse('token', `the token was used already; ${ANOTHER}`);
    case 'again': {
      const { claim } = standing;
      const present = registered(claim.name);
      const stands = present?.id === node && present.serial === claim.serial && present.state !== 'revoked';
      return stands ? { kind: 'repeat', claim } : refuse('token', `the token was used already; ${ANOTHER}`);
    }
    case 'good': {
      const present = registered(body.name);
      if (present?.state === 'enrolled')
        return refuse(
          'name',
          `the overlay has a node ${body.name} already; give another --name, or revoke that one: evio overlay revoke ${body.name}`,
        );
      return { kind: 'admit', token: standing.token, node, body };
    }
  }
}

interface Known {
  readonly certificate: Certificate;
  readonly present: Registered;
}

/** Who shows this certificate, where the overlay has that node. One that has ended proves who it was made for as well as any. */
function knownBy(
  text: string,
  registered: (name: string) => Registered | undefined,
  authorityKey: Uint8Array,
): Known | Verdict {
  try {
    const certificate = verifyCertificate(fromBase64(text), authorityKey);
    const present = registered(certificate.name);
    if (present?.id !== certificate.nodeId)
      return refuse('member', `the overlay knows no such node ${certificate.name}`);
    return { certificate, present };
  } catch (error) {
    if (error instanceof DecodeError) return refuse('member', `the certificate is refused: ${error.message}`);
    throw error;
  }
}

function judgeLeave(known: Known | Verdict): Verdict {
  if ('kind' in known) return known;
  const { certificate, present } = known;
  const { name, nodeId, serial } = certificate;
  // An old request, sent once more by somebody else, must not end a node that is here again.
  if (BigInt(present.serial) > serial)
    return refuse('member', `node ${name} has a newer certificate (number ${present.serial})`);
  return { kind: 'revoke', name, node: nodeId, done: present.state === 'revoked' };
}

function judgeRenew(known: Known | Verdict, body: RenewBody, now: number): Verdict {
  if ('kind' in known) return known;
  const { certificate, present } = known;
  const { name, serial } = certificate;
  if (present.state === 'revoked') return refuse('member', `node ${name} was revoked`);
  // A newer one that the node does not have: the answer with it was lost.
  return { kind: 'renew', name, body, due: isDue(certificate, now) || BigInt(present.serial) > serial };
}
