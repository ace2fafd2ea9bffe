/**
 * The facts of a session description that matter to us (RFC 8839 §5.4, RFC 8122 §5, RFC 4145 §4). Between nodes nothing but these and
 * the candidates travels, in one short text (docs/wire.md §9.3); a description is made from nothing but them, so that of what a peer
 * wrote no byte reaches the native library's parser unchecked.
 *
 *     ufrag password fingerprint,candidate,candidate...
 */

/** A short description with twenty candidates has less than 1,500. */
const MAX_CHARACTERS = 4096;

export type SdpType = 'offer' | 'answer';

export interface SessionDescription {
  readonly iceUfrag: string;
  readonly icePwd: string;
  /** SHA-256 over the DTLS certificate, upper case with colons. */
  readonly fingerprint: string;
}

/** A description with more candidates than this is cut to the first ones. */
export const MAX_SDP_CANDIDATES = 20;

/** The candidates of a short description, each as `candidate.ts` writes it. */
export function candidatesOf(short: string): readonly string[] {
  return short.split(',').slice(1, 1 + MAX_SDP_CANDIDATES);
}

/** The short description with these candidates and no others: what was gathered at once need not travel as messages of its own. */
export function withCandidates(short: string, candidates: readonly string[]): string {
  const [facts = ''] = short.split(',', 1);
  return [facts, ...candidates].join(',');
}

const UFRAG = /^[A-Za-z0-9+/]{4,256}$/;
const PWD = /^[A-Za-z0-9+/]{22,256}$/;
const FINGERPRINT = /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/;
/** 32 bytes in base64 without padding. */
const SHORT_FINGERPRINT = /^[A-Za-z0-9+/]{43}$/;
/** RFC 5763 §5: the offer leaves the role open. Here the answerer is always the DTLS client. */
const SETUP = { offer: 'actpass', answer: 'active' } as const;

/** The facts in the library's own description, or the reason why it cannot be used. */
export function parseSdp(sdp: string, type: SdpType): SessionDescription | { readonly refused: string } {
  const lines = sdp.split(/\r?\n/);
  if (attribute(lines, 'setup') !== SETUP[type]) return { refused: `no setup ${SETUP[type]} in an ${type}` };
  const [iceUfrag = '', icePwd = ''] = [attribute(lines, 'ice-ufrag'), attribute(lines, 'ice-pwd')];
  const fingerprint = attribute(lines, 'fingerprint')
    ?.replace(/^sha-256 /i, '')
    .toUpperCase();
  return checked({ iceUfrag, icePwd, fingerprint: fingerprint ?? '' });
}

/** The facts in a peer's short description, or the reason why it cannot be used. */
export function parseShort(short: string): SessionDescription | { readonly refused: string } {
  if (short.length > MAX_CHARACTERS) return { refused: `longer than ${MAX_CHARACTERS} characters` };
  const [facts = ''] = short.split(',', 1);
  const [iceUfrag = '', icePwd = '', fingerprint = '', ...more] = facts.split(' ');
  if (more.length > 0 || !SHORT_FINGERPRINT.test(fingerprint)) return { refused: 'no SHA-256 fingerprint' };
  const bytes = Buffer.from(fingerprint, 'base64');
  return checked({ iceUfrag, icePwd, fingerprint: (bytes.toString('hex').toUpperCase().match(/../g) ?? []).join(':') });
}

function checked(facts: SessionDescription): SessionDescription | { readonly refused: string } {
  if (!UFRAG.test(facts.iceUfrag)) return { refused: 'no usable ice-ufrag' };
  if (!PWD.test(facts.icePwd)) return { refused: 'no usable ice-pwd' };
  if (!FINGERPRINT.test(facts.fingerprint)) return { refused: 'no SHA-256 fingerprint' };
  return facts;
}

/** Without candidates. */
export function formatShort({ iceUfrag, icePwd, fingerprint }: SessionDescription): string {
  const bytes = Buffer.from(fingerprint.replaceAll(':', ''), 'hex');
  return `${iceUfrag} ${icePwd} ${bytes.toString('base64').slice(0, 43)}`;
}

export function formatSdp(description: SessionDescription, type: SdpType): string {
  return [
    'v=0',
    'o=rtc 1 0 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=msid-semantic:WMS *',
    'a=ice-options:ice2,trickle',
    `a=fingerprint:sha-256 ${description.fingerprint}`,
    'm=video 9 UDP/TLS/RTP/SAVPF 96',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sendrecv',
    'a=rtcp-mux',
    'a=rtpmap:96 VP8/90000',
    `a=setup:${SETUP[type]}`,
    `a=ice-ufrag:${description.iceUfrag}`,
    `a=ice-pwd:${description.icePwd}`,
    '',
  ].join('\r\n');
}

/** The attribute's value if it stands exactly once. */
function attribute(lines: readonly string[], name: string): string | undefined {
  const prefix = `a=${name}:`;
  const found = lines.filter((line) => line.startsWith(prefix));
  return found.length === 1 ? found[0]?.slice(prefix.length) : undefined;
}
