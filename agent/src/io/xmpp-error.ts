/** What can be wrong between us and the XMPP server, as one line each: what failed, with what, what to do. */

export type XmppProblem =
  | 'wrong-password'
  | 'untrusted-certificate'
  | 'server-away'
  | 'insecure'
  | 'room-missing'
  | 'not-a-member'
  | 'refused'
  | 'protocol';

/** Problems that do not go away by themselves soon: tried again slowly. */
const LASTING: readonly XmppProblem[] = [
  'wrong-password',
  'untrusted-certificate',
  'insecure',
  'room-missing',
  'not-a-member',
];

export class XmppError extends Error {
  override readonly name = 'XmppError';
  readonly problem: XmppProblem;
  /** Of the system or of OpenSSL: `ECONNREFUSED`, `CERT_HAS_EXPIRED`; '' where there is none. */
  readonly code: string;

  constructor(problem: XmppProblem, message: string, code = '') {
    super(oneLine(message));
    this.problem = problem;
    this.code = code;
  }

  get lasting(): boolean {
    return LASTING.includes(this.problem);
  }
}

/** A certificate that does not hold by this machine's clock, which may be what is wrong. */
export class DatesError extends XmppError {
  constructor(service: string, what: string, code: string) {
    const says = new Date().toISOString().slice(0, 16).replace('T', ' ');
    super(
      'untrusted-certificate',
      `the certificate of ${service} ${what} (this machine's clock says ${says} UTC)`,
      code,
    );
  }
}

/** An error a stanza was answered with (RFC 6120 §8.3). */
export class StanzaError extends Error {
  override readonly name = 'StanzaError';
  /** The defined condition, such as `item-not-found`. */
  readonly condition: string;

  constructor(condition: string, text: string) {
    super(oneLine(text === '' ? condition : `${condition}: ${text}`));
    this.condition = condition;
  }
}

/** What a server says goes into logs: no line breaks, no control characters, no end of it. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out.
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return clean.length <= 300 ? clean : `${clean.slice(0, 299)}…`;
}

const CERTIFICATE_PROBLEMS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'is signed by itself: set "ca" to the authority that signs it',
  SELF_SIGNED_CERT_IN_CHAIN: 'comes from an unknown authority: set "ca" to that authority',
  UNABLE_TO_GET_ISSUER_CERT: 'comes from an unknown authority: set "ca" to that authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'comes from an unknown authority: set "ca" to that authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'comes from an unknown authority: set "ca" to that authority',
  CERT_SIGNATURE_FAILURE: 'has a wrong signature: "ca" names another authority',
  CERT_REVOKED: 'was revoked',
};

const DATE_PROBLEMS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired: renew it on the server, or set the clock',
  CERT_NOT_YET_VALID: 'is not valid yet: look at the clocks of the server and of this machine',
};

const AWAY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was reset',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the name is not known to the DNS',
  EAI_AGAIN: 'the DNS does not answer',
  EPIPE: 'the connection was closed',
};

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return '';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error instanceof AggregateError ? codeOf(error.errors[0]) : '';
};

/** An error of a socket or of TLS, in words. */
export function socketError(error: unknown, service: string, domain: string): XmppError {
  if (error instanceof XmppError) return error;
  const code = codeOf(error);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new XmppError(
      'untrusted-certificate',
      `the certificate of ${service} is not for the domain "${domain}"`,
      code,
    );
  const dates = DATE_PROBLEMS[code];
  if (dates !== undefined) return new DatesError(service, dates, code);
  const certificate = CERTIFICATE_PROBLEMS[code];
  if (certificate !== undefined)
    return new XmppError('untrusted-certificate', `the certificate of ${service} ${certificate}`, code);
  const away = AWAY[code];
  if (away !== undefined) return new XmppError('server-away', `cannot reach ${service}: ${away}`, code);
  // RFC 6066 §3: the server has no certificate for that name.
  if (code.endsWith('UNRECOGNIZED_NAME'))
    return new XmppError('refused', `${service} does not serve the domain "${domain}": look at "domain"`);
  const text = error instanceof Error ? error.message : String(error);
  if (code.startsWith('ERR_SSL') || code === 'EPROTO')
    return new XmppError('insecure', `no TLS with ${service}: ${text}`);
  return new XmppError('server-away', `cannot reach ${service}: ${text}`, code);
}
