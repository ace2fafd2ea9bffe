/** Asks the overlay's authority what is new, over the node's own connection, and has the node run with it. */
import type { NodeConfig } from './config/node-config.ts';
import { ConfigError } from './config/problems.ts';
import { answerIn, questionOf } from './io/join-stanza.ts';
import type { Log } from './io/log.ts';
import { renewNodeFile } from './io/node-file.ts';
import { systemReason } from './io/system-error.ts';
import { oneLine, StanzaError, XmppError } from './io/xmpp-error.ts';
import { openSession } from './io/xmpp-session.ts';
import { type Papers, papersOf } from './join/papers.ts';
import { Renewal, type RenewalAction, type RenewalEvent } from './join/renewal.ts';
import type { Runner } from './runner.ts';
import { type JoinedAccount, NO_SECRET, sealRequest } from './wire/join-message.ts';
import { privateKey } from './wire/keys.ts';
import { DecodeError, fromBase64 } from './wire/reader.ts';
import { verifyRevocations } from './wire/revocations.ts';

const ANSWER_MS = 20_000;
const LOGIN_MS = 15_000;

/** Rejects with an XmppError where that account cannot be used there. */
async function logIn({ service, domain, username, password, ca }: JoinedAccount): Promise<void> {
  const options = { service, domain, username, password, ca, renewal: '', signal: AbortSignal.timeout(LOGIN_MS) };
  const handlers = { stanza: () => undefined, received: () => undefined, closed: () => undefined };
  (await openSession(options, handlers)).close();
}

/** Why there is nothing new; `online`: somebody could have answered. */
class NoAnswer extends Error {
  readonly online: boolean;

  constructor(why: string, online = true) {
    super(oneLine(why));
    this.online = online;
  }
}

export class Renewer {
  readonly #runner: Pick<Runner, 'node' | 'exchange'>;
  readonly #log: Log;
  readonly #renewal: Renewal;
  readonly #logIn: typeof logIn;
  #config: NodeConfig | undefined;
  /** What could not be written to the node file: it is not asked for again. */
  #unwritten: Papers | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `tries`: how another account is tried before the node changes to it. */
  constructor(runner: Pick<Runner, 'node' | 'exchange'>, log: Log, { random = Math.random, tries = logIn } = {}) {
    this.#runner = runner;
    this.#log = log;
    this.#renewal = new Renewal(random);
    this.#logIn = tries;
  }

  /** The node that runs, by this configuration. */
  start(config: NodeConfig): void {
    this.#config = config;
    this.#step({ kind: 'start', life: config.identity.certificate });
  }

  /** The authority says that it has something new. */
  news(): void {
    this.#step({ kind: 'news' });
  }

  /** The XMPP server is there again: news may have been missed. */
  online(): void {
    this.#step({ kind: 'online' });
  }

  stop(): void {
    this.#step({ kind: 'stop' });
  }

  #step(event: RenewalEvent): void {
    const now = performance.now();
    const actions = this.#renewal.handle(event, now);
    clearTimeout(this.#timer);
    const at = this.#renewal.deadline();
    if (at !== undefined)
      this.#timer = setTimeout(() => this.#step({ kind: 'deadline' }), Math.max(1, at - now)).unref();
    for (const action of actions) this.#act(action);
  }

  #act(action: RenewalAction): void {
    if (action.kind === 'warn') this.#log.warn(action.message);
    else void this.#renew();
  }

  async #renew(): Promise<void> {
    const config = this.#config;
    if (config === undefined) return;
    try {
      this.#use(this.#unwritten ?? (await this.#proven(await this.#ask(config), config)), config);
      this.#step({ kind: 'answered' });
    } catch (error) {
      // Nothing here is worth the end of a node that carries traffic.
      const why = error instanceof Error ? error.message : String(error);
      const online = !(error instanceof NoAnswer) || error.online;
      this.#step({ kind: 'failed', why, online, now: Date.now() / 1000 });
    }
  }

  async #ask(config: NodeConfig): Promise<Papers> {
    const { identity, overlay } = config;
    const { authorityKey, serial } = overlay.parameters;
    const node = this.#runner.node;
    if (node === undefined) throw new NoAnswer('the node is starting', false);
    const list = node.revocations;
    const body = {
      type: 'renew',
      certificate: identity.certificate.bytes.toString('base64'),
      parameters: Number(serial),
      revocations: list === null ? 0 : Number(verifyRevocations(fromBase64(list), authorityKey).serial),
    } as const;
    const asked = sealRequest(body, authorityKey, privateKey('ed25519', identity.seed.reveal()), NO_SECRET);
    try {
      const stanza = await node.askAuthority(questionOf(asked), ANSWER_MS);
      const answer = answerIn(stanza, asked, authorityKey, privateKey('x25519', identity.sessionKey.reveal()));
      if (answer.type === 'renewed') return papersOf(answer, config);
      throw new NoAnswer(answer.type === 'refused' ? answer.message : 'the authority answered something else');
    } catch (error) {
      if (error instanceof StanzaError)
        throw new NoAnswer(`the overlay's authority does not answer (${error.condition}); is it running?`);
      if (error instanceof XmppError) throw new NoAnswer(error.message, false);
      if (error instanceof DecodeError) throw new NoAnswer(`the answer is refused: ${error.message}`);
      throw error;
    }
  }

  /** A node that went where nobody answers could not be told of another place any more. */
  async #proven(papers: Papers, { signalling }: NodeConfig): Promise<Papers> {
    const { account } = papers;
    if (account === undefined) return papers;
    try {
      await this.#logIn(account);
      return papers;
    } catch (error) {
      if (!(error instanceof XmppError)) throw error;
      this.#log.warn(
        `the authority says that the XMPP server is at ${account.service} now, which this node cannot use (${oneLine(error.message)}): it stays with ${signalling.service.url}`,
      );
      return { ...papers, account: undefined };
    }
  }

  #use(papers: Papers, config: NodeConfig): void {
    const { certificate, parameters, revocations, account, excludeRoutes } = papers;
    const moved = account !== undefined || excludeRoutes.length > 0;
    if (certificate === undefined && parameters === undefined && !moved) {
      if (revocations !== undefined) this.#spread(revocations.bytes.toString('base64'));
      return;
    }
    const next = this.#write(papers, config);
    const { serial, notAfter } = next.identity.certificate;
    if (account !== undefined) this.#log.info(`the XMPP server is at ${account.service} now, as the authority says`);
    if (excludeRoutes.length > 0) this.#log.info(`the authority leaves routes to others: ${excludeRoutes.join(', ')}`);
    if (certificate !== undefined || parameters !== undefined)
      this.#log.info(`renewed: certificate number ${serial} until ${new Date(notAfter * 1000).toISOString()}`);
    void this.#runner.exchange(next);
    this.start(next);
  }

  /** What else may have been changed in the file takes effect with a restart, as ever. */
  #write(papers: Papers, config: NodeConfig): NodeConfig {
    try {
      const { overlay, identity, topology, signalling, ice, network } = renewNodeFile(config.file, papers);
      this.#unwritten = undefined;
      return {
        ...{ ...config, overlay, identity, topology },
        ...(papers.account === undefined ? {} : { signalling, ice: { ...config.ice, stun: ice.stun } }),
        network: {
          ...config.network,
          excludeRoutes: papers.excludeRoutes.length === 0 ? config.network.excludeRoutes : network.excludeRoutes,
        },
      };
    } catch (error) {
      if (error instanceof ConfigError)
        throw new NoAnswer(`${config.file} cannot take it: ${error.problems.join('; ')}`);
      this.#unwritten = papers;
      throw new NoAnswer(`cannot write ${config.file}: ${systemReason(error)}`);
    }
  }

  #spread(list: string): void {
    void this.#runner.node?.answer('revocations', { list }).catch((error: unknown) => {
      this.#log.warn(`a revocation list was not taken: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
}
