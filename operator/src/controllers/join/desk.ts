/**
 * The authority of a cluster's overlay at work: who joins by a token gets an EvioNode, which the node controller enrols as any other; who
 * renews is told what stands in it; who leaves has it deleted. A use of a token is written down before anything follows from it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Desk, Later, News, Reply } from '../../../../agent/src/join/desk.ts';
import { type Hints, judge, newestFor, refusal, type Verdict } from '../../../../agent/src/join/judge.ts';
import {
  ACCOUNT_GRACE_SECONDS,
  type Claim,
  type Token,
  withClaim,
  withEnding,
  withoutEnding,
  withSerial,
} from '../../../../agent/src/join/tokens.ts';
import { EVIO_NODE, type EvioNetwork, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import { nodeIdOf } from '../../../../agent/src/wire/ids.ts';
import type { AnswerBody, OpenedRequest, RefusalReason } from '../../../../agent/src/wire/join-message.ts';
import { tokenHash } from '../../../../agent/src/wire/join-token.ts';
import { sha256 } from '../../../../agent/src/wire/keys.ts';
import { verifyParameters } from '../../../../agent/src/wire/parameters.ts';
import { fromBase64 } from '../../../../agent/src/wire/reader.ts';
import { verifyRevocations } from '../../../../agent/src/wire/revocations.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import type { Enrolment } from '../../../../crds/src/evio-node.ts';
import { type Authority, overlayOf } from '../../desired/authority.ts';
import {
  accountOf,
  keysHashOf,
  type Overlay,
  passwordOf,
  roomOf,
  type SignallingPlace,
} from '../../desired/enrolment.ts';
import { settle } from '../../desired/ledger.ts';
import { peerOwnerOf } from '../../desired/peer.ts';
import { machineIdOf, memberCalled, otherWith, type RegisterView, registered } from '../../desired/register.ts';
import { signallingIs } from '../../desired/signalling.ts';
import { livingOf } from '../network/decide.ts';
import type { World } from '../world.ts';
import { machineMember, type Refusal, whyNoRoom } from './member.ts';
import { TokenKeeper } from './tokens.ts';

/** The node controller makes the account and signs meanwhile; who asks waits for twice as long. */
const ENROL_MS = 10_000;
const GONE_MS = 5_000;
const POLL_MS = 50;

const HINTS: Hints = {
  token: 'make another with: evio token create',
  revoke: (name) => `kubectl delete evionode ${name}`,
};

interface Place {
  readonly network: EvioNetwork;
  readonly authority: Authority;
  readonly overlay: Overlay;
  readonly place: SignallingPlace;
}

export class ClusterDesk implements Desk {
  readonly #world: World;
  readonly #keeper: TokenKeeper;
  /** By name and keys: who waits for the same is told the same. */
  readonly #awaited = new Map<string, Promise<Enrolment | undefined>>();

  constructor(world: World) {
    this.#world = world;
    this.#keeper = new TokenKeeper(world);
  }

  async answer(request: OpenedRequest, now: number): Promise<Reply | Later> {
    const here = this.#here();
    const verdict = this.#judge(request, here.authority, now);
    return verdict.kind === 'admit'
      ? this.#admit(verdict, request, here, now)
      : this.#carryOut(verdict, request, here, now);
  }

  awaits(username: string): boolean {
    return this.#keeper.awaits(username);
  }

  async confirm(username: string, now: number): Promise<number | undefined> {
    await this.#keeper.confirm(username);
    return this.tidy(now);
  }

  async tidy(now: number): Promise<number | undefined> {
    return this.#keeper.keep(this.#here().place, now);
  }

  /** Machines of the DaemonSets are told by their EvioNodes. */
  news(): News {
    const { authority, place } = this.#here();
    const { ledger, overlayId } = authority;
    const machines = [...this.#world.members.all().values()].filter(({ spec }) => spec.machine !== undefined);
    const serials = machines.map(({ spec }) => spec.enrolment?.serial ?? '').sort();
    return {
      mark: [ledger.parameters, ledger.listSerial, placeMark(place), ...serials].join(),
      usernames: machines.map(({ spec }) => accountOf(overlayId, spec.memberName)).sort(),
    };
  }

  /** Throws when there is nothing to answer by yet. */
  #here(): Place {
    const network = this.#world.networks.get(NETWORK_NAME);
    const { authority } = this.#world.book.read();
    const overlay = authority && overlayOf(authority);
    const signalling = network && this.#world.signalling(network);
    if (network === undefined || network.metadata.deletionTimestamp !== undefined)
      throw new Error('there is no EvioNetwork');
    if (authority === undefined || overlay === undefined)
      throw new Error('the authority of the overlay is not there yet');
    if (signalling === undefined || !signallingIs(signalling))
      throw new Error('it is not known where the XMPP server is');
    return { network, authority, overlay, place: signalling.place };
  }

  #nodes(): ReadonlyMap<string, Node> {
    return new Map(this.#world.nodes.list().map((node): [string, Node] => [node.metadata.name, node]));
  }

  #view(authority: Authority): RegisterView {
    return { members: this.#world.members.all(), nodes: this.#nodes(), authority };
  }

  #judge(request: OpenedRequest, authority: Authority, now: number): Verdict {
    const view = this.#view(authority);
    const asker = nodeIdOf(request.identityKey);
    const hash = tokenHash(request.secret);
    const peer = authority.tokens.tokens.find((one) => one.hash === hash)?.peer;
    // Its token says who it is.
    const { body } = request;
    const named = peer === undefined || body.type !== 'join' ? request : { ...request, body: { ...body, name: peer } };
    return judge(
      named,
      authority.tokens,
      (name) => registered(view, name, asker, peer),
      authority.publicKey,
      now,
      HINTS,
    );
  }

  async #carryOut(
    verdict: Exclude<Verdict, { kind: 'admit' }>,
    request: OpenedRequest,
    here: Place,
    now: number,
  ): Promise<Reply | Later> {
    switch (verdict.kind) {
      case 'refuse':
        return refused(verdict.answer.reason, verdict.answer.message);
      case 'repeat':
        return this.#joined(verdict.claim, request, here, now);
      case 'renew':
        return this.#renewed(verdict, request, here, now);
      case 'revoke':
        return this.#left(verdict, here, now);
    }
  }

  // ---- joining -------------------------------------------------------------------------------------------------------

  async #admit(
    { token, body }: Extract<Verdict, { kind: 'admit' }>,
    request: OpenedRequest,
    here: Place,
    now: number,
  ): Promise<Reply | Later> {
    // Nothing is spent for what cannot be.
    const no = whyNoRoom(this.#world, here.network, body, token.peer);
    if (no !== undefined) return refusedFor(no);
    if (this.#world.link.reach.kind !== 'up')
      return refused('unavailable', 'the XMPP server is away from the operator');
    const { name } = body;
    const claim: Claim = { node: nodeIdOf(request.identityKey), name, serial: 0, certificate: '', at: now };
    const account = accountOf(here.authority.overlayId, name);
    let other: Exclude<Verdict, { kind: 'admit' }> | undefined;
    let owner: string | undefined;
    // As the Secret is now, and not as it was in a cache: of two operators, and of two machines, one writes first.
    await this.#world.book.changeTokens((authority) => {
      const verdict = this.#judge(request, authority, now);
      other = verdict.kind === 'admit' ? undefined : verdict;
      owner = otherWith(this.#view(authority), claim.node, name);
      return other === undefined && owner === undefined
        ? withClaim(withoutEnding(authority.tokens, [account]), token.id, claim)
        : authority.tokens;
    });
    if (other !== undefined) return this.#carryOut(other, request, here, now);
    return owner === undefined ? this.#joined(claim, request, here, now) : keysOf(owner);
  }

  /** May be repeated: what is there stays. */
  async #joined(claim: Claim, request: OpenedRequest, here: Place, now: number): Promise<Reply | Later> {
    const { name, node } = claim;
    const authority = this.#world.book.read().authority ?? here.authority;
    const owner = otherWith(this.#view(authority), node, name);
    if (owner !== undefined) return keysOf(owner);
    const hash = tokenHash(request.secret);
    const token = authority.tokens.tokens.find((one) => one.hash === hash);
    const no = await machineMember(this.#world, here.network, name, request, token?.peer, now);
    return no === undefined ? { later: () => this.#finished(claim, token, request, here) } : refusedFor(no);
  }

  /** Others have their turns meanwhile. */
  async #finished(claim: Claim, token: Token | undefined, request: OpenedRequest, here: Place): Promise<Reply> {
    const { name } = claim;
    const enrolment = await this.#enrolled(name, keysHashOf(request));
    if (enrolment === undefined)
      return refused(
        'unavailable',
        `${name} is not enrolled within ${ENROL_MS / 1000} s; the log of the operator says why`,
      );
    if (token !== undefined && claim.serial === 0)
      await this.#world.book.changeTokens(({ tokens }) =>
        withSerial(tokens, token.id, claim.node, Number(enrolment.serial), this.#world.now()),
      );
    const member = memberCalled({ members: this.#world.members.all() }, name);
    const addresses = member?.spec.addresses.join(', ') ?? '';
    return {
      answer: joinedBody(enrolment, name, claim.node, token?.peer === undefined, here),
      told: `${token?.peer === undefined ? 'node' : 'peer'} ${name} (${claim.node}) joined: ${addresses}`,
    };
  }

  /** By the node controller, which hears of the EvioNode; undefined: not in time. */
  #enrolled(name: string, keysHash: string): Promise<Enrolment | undefined> {
    const key = `${name} ${keysHash}`;
    const awaited = this.#awaited.get(key) ?? this.#enrolment(name, keysHash).finally(() => this.#awaited.delete(key));
    this.#awaited.set(key, awaited);
    return awaited;
  }

  async #enrolment(name: string, keysHash: string): Promise<Enrolment | undefined> {
    for (const end = performance.now() + ENROL_MS; performance.now() < end; ) {
      const enrolment = memberCalled({ members: this.#world.members.all() }, name)?.spec.enrolment;
      if (enrolment?.keysHash === keysHash) return enrolment;
      await sleep(POLL_MS);
    }
    return undefined;
  }

  // ---- renewing ------------------------------------------------------------------------------------------------------

  /** Nothing is signed here: the node controller has renewed what is due, after half of its life. */
  #renewed(
    { name, body, due }: Extract<Verdict, { kind: 'renew' }>,
    request: OpenedRequest,
    here: Place,
    now: number,
  ): Reply {
    const { ledger, publicKey } = here.authority;
    const member = memberCalled({ members: this.#world.members.all() }, name);
    const enrolment = member?.spec.enrolment;
    const isNode = member !== undefined && peerOwnerOf(member) === undefined;
    const newest = due ? newestFor(enrolment?.certificate, request, now) : undefined;
    const list =
      ledger.listSerial > body.revocations && ledger.revocations !== ''
        ? verifyRevocations(fromBase64(ledger.revocations), publicKey)
        : undefined;
    const newer = Number(verifyParameters(fromBase64(ledger.parameters), publicKey).serial) > body.parameters;
    const told = [
      ...(newest === undefined ? [] : [`certificate ${enrolment?.serial} until ${enrolment?.notAfter}`]),
      ...(list === undefined ? [] : [`revocation list number ${list.serial}`]),
    ];
    return {
      answer: {
        type: 'renewed',
        ...(newest === undefined ? {} : { certificate: newest }),
        ...(newer ? { parameters: ledger.parameters } : {}),
        ...(list === undefined ? {} : { revocations: ledger.revocations }),
        // What the DaemonSets run has it with the credentials in its EvioNode.
        ...(member?.spec.machine === undefined ? {} : placeBody(name, nodeIdOf(request.identityKey), isNode, here)),
      },
      told: told.length === 0 ? undefined : `node ${name} has ${told.join(' and ')}`,
    };
  }

  // ---- leaving -------------------------------------------------------------------------------------------------------

  async #left(
    { name, node, done }: Extract<Verdict, { kind: 'revoke' }>,
    { authority }: Place,
    now: number,
  ): Promise<Reply> {
    const member = memberCalled({ members: this.#world.members.all() }, name);
    if (!done && (member === undefined || machineIdOf(member) === undefined))
      return refused('member', `node ${name} runs by a DaemonSet of the cluster: delete its Node instead`);
    const account = accountOf(authority.overlayId, name);
    // Its answer comes over its account, which ends after that.
    await this.#world.book.changeTokens(({ tokens }) => withEnding(tokens, account, now + ACCOUNT_GRACE_SECONDS));
    const uid = member?.metadata.uid;
    if (!done && member !== undefined) await this.#remove(member);
    const { ledger } = await this.#world.book.change(({ ledger, key }) =>
      settle(
        ledger,
        new Map([...livingOf([...this.#world.members.all().values()])].filter(([, one]) => one !== uid)),
        key,
        now,
      ),
    );
    return {
      answer: { type: 'left', serial: Math.max(1, ledger.listSerial) },
      told: `node ${name} (${node}) left: list number ${ledger.listSerial} is signed`,
    };
  }

  /** Until it is seen to be gone: who still saw it would enrol it once more. */
  async #remove({ metadata }: EvioNode): Promise<void> {
    const { client, members } = this.#world;
    await client.delete(EVIO_NODE, metadata.name, { uid: metadata.uid });
    members.gone(metadata.name);
    for (const end = performance.now() + GONE_MS; performance.now() < end; ) {
      if (members.all().get(metadata.name)?.metadata.uid !== metadata.uid) return;
      await sleep(POLL_MS);
    }
  }
}

function joinedBody(
  { overlayParameters, certificate, revocations }: Enrolment,
  name: string,
  id: string,
  isNode: boolean,
  here: Place,
): AnswerBody {
  return {
    type: 'joined',
    parameters: overlayParameters,
    certificate,
    ...(revocations === undefined ? {} : { revocations }),
    ...placeBody(name, id, isNode, here),
  };
}

/** Where a node that joined by a token finds the others, and what it leaves to kube-proxy. */
function placeBody(name: string, id: string, isNode: boolean, { overlay, place }: Place) {
  const { overlayId, name: overlayName } = overlay.parameters;
  const { service, domain, ca, stun, conference } = place;
  return {
    ...(isNode && place.excludeRoutes.length > 0 ? { excludeRoutes: [...place.excludeRoutes] } : {}),
    account: {
      service,
      domain,
      username: accountOf(overlayId, name),
      password: passwordOf(overlay, id),
      ...(ca === undefined ? {} : { ca }),
      room: roomOf(overlayId, overlayName, conference),
      stun: [...stun],
    },
  };
}

/** Another one: there is something to tell. */
const placeMark = ({ service, domain, ca, stun, conference, excludeRoutes }: SignallingPlace): string =>
  sha256(Buffer.from(JSON.stringify([service, domain, ca, stun, conference, excludeRoutes]))).toString('hex');

const refused = (reason: RefusalReason, message: string): Reply => ({
  answer: refusal(reason, message.slice(0, 300)),
  told: `refused: ${message}`,
});
const keysOf = (owner: string): Reply =>
  refused('name', `its keys are those of node ${owner}: each machine makes its own; remove them and join again`);
const refusedFor = ({ reason, message }: Refusal): Reply => refused(reason, message);
