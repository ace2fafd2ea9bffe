/**
 * What the authority of an overlay says to a request: by its tokens, and by who is registered. Whoever keeps the register carries it
 * out: the address book of `evio authority serve` allots and signs at once, an operator would make an object first.
 */
import { type Certificate, parseCertificate, verifyCertificate } from '../wire/certificate.ts';
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
  /** The same node once more, which is still in the overlay: it is told its newest certificate, and gets no other. */
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

/** What who is refused should do, in the words of whoever keeps the register. */
export interface Hints {
  readonly token: string;
  /** How the node that has a name is taken off. */
  readonly revoke: (name: string) => string;
}

const OVERLAY_HINTS: Hints = {
  token: 'make another with: evio token create',
  revoke: (name) => `evio overlay revoke ${name}`,
};

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
  { token: another, revoke }: Hints = OVERLAY_HINTS,
): Verdict {
  const node = nodeIdOf(request.identityKey);
  const { body } = request;
  if (body.type === 'leave') return judgeLeave(knownBy(body.certificate, registered, authorityKey));
  if (body.type === 'renew') return judgeRenew(knownBy(body.certificate, registered, authorityKey), body, now);
  const standing = standingOf(tokens, request.secret, node, now);
  switch (standing.kind) {
    case 'unknown':
      return refuse('token', `the token is not known here: it was revoked, or is of another overlay; ${another}`);
    case 'expired':
      return refuse('token', `the token expired at ${time(standing.token.expires)}; ${another}`);
    case 'used':
      return refuse('token', `the token was used already; ${another}`);
    case 'again': {
      const { claim } = standing;
      const present = registered(claim.name);
      const stands = present?.id === node && present.state !== 'revoked';
      return stands ? { kind: 'repeat', claim } : refuse('token', `the token was used already; ${another}`);
    }
    case 'good': {
      const present = registered(body.name);
      // By another token: it is the same machine.
      if (present?.state === 'enrolled' && present.id !== node)
        return refuse(
          'name',
          `the overlay has a node ${body.name} already; give another --name, or revoke that one: ${revoke(body.name)}`,
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

/**
 * The newest certificate that was signed for a node, for who asks with an older one: its answer was lost, or somebody sent the request
 * once more. Undefined: another has to be signed, since there is none, it is due itself, or it is for other keys.
 */
export function newestFor(
  newest: string | undefined,
  { body, identityKey, sessionKey }: OpenedRequest,
  now: number,
): string | undefined {
  if (newest === undefined || body.type !== 'renew') return undefined;
  const certificate = parseCertificate(fromBase64(newest));
  const sameKeys =
    certificate.nodeId === nodeIdOf(identityKey) && Buffer.from(certificate.sessionKey).equals(sessionKey);
  const shown = parseCertificate(fromBase64(body.certificate));
  return sameKeys && certificate.serial > shown.serial && !isDue(certificate, now) ? newest : undefined;
}
