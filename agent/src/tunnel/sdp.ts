/**
 * The four facts of a session description that matter to us (RFC 8839 §5.4, RFC 8122 §5, RFC 4145 §4), and a description made from
 * nothing but them. The native library gets only descriptions written here: of a peer's SDP no byte reaches its parser unchecked.
 */

/** A description made here has about 500 bytes. */
const MAX_SDP_CHARACTERS = 8192;

export type SdpType = 'offer' | 'answer';

export interface SessionDescription {
  readonly iceUfrag: string;
  readonly icePwd: string;
  /** SHA-256 over the DTLS certificate, upper case with colons. */
  readonly fingerprint: string;
  readonly setup: 'actpass' | 'active' | 'passive';
}

/** A description with more candidates than this is cut to the first ones. */
export const MAX_SDP_CANDIDATES = 20;

/** The candidate lines of a description, without `a=`. */
export function candidatesOf(sdp: string): readonly string[] {
  return sdp
    .split(/\r?\n/)
    .filter((line) => line.startsWith('a=candidate:'))
    .slice(0, MAX_SDP_CANDIDATES)
    .map((line) => line.slice(2));
}

/** The description with these candidates and no others: what was gathered at once need not travel as messages of its own. */
export function withCandidates(sdp: string, candidates: readonly string[]): string {
  const lines = sdp
    .split(/\r?\n/)
    .filter((line) => line !== '' && !line.startsWith('a=candidate:') && line !== 'a=end-of-candidates');
  return [...lines, ...candidates.map((candidate) => `a=${candidate}`), ''].join('\r\n');
}

const UFRAG = /^[A-Za-z0-9+/]{4,256}$/;
const PWD = /^[A-Za-z0-9+/]{22,256}$/;
const FINGERPRINT = /^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/;

/** The facts, or the reason why the description cannot be used. */
export function parseSdp(sdp: string, type: SdpType): SessionDescription | { readonly refused: string } {
  if (sdp.length > MAX_SDP_CHARACTERS) return { refused: `longer than ${MAX_SDP_CHARACTERS} characters` };
  const lines = sdp.split(/\r?\n/);
  if (lines[0] !== 'v=0') return { refused: 'does not begin with v=0' };
  const media = lines.filter((line) => line.startsWith('m='));
  if (media.length !== 1 || !media[0]?.startsWith('m=video ')) return { refused: 'not exactly one video media line' };
  const iceUfrag = attribute(lines, 'ice-ufrag');
  if (iceUfrag === undefined || !UFRAG.test(iceUfrag)) return { refused: 'no usable ice-ufrag' };
  const icePwd = attribute(lines, 'ice-pwd');
  if (icePwd === undefined || !PWD.test(icePwd)) return { refused: 'no usable ice-pwd' };
  const fingerprint = attribute(lines, 'fingerprint')
    ?.replace(/^sha-256 /i, '')
    .toUpperCase();
  if (fingerprint === undefined || !FINGERPRINT.test(fingerprint)) return { refused: 'no SHA-256 fingerprint' };
  const setup = attribute(lines, 'setup');
  if (setup !== 'actpass' && setup !== 'active' && setup !== 'passive') return { refused: 'no usable setup role' };
  // RFC 5763 §5: the offer leaves the role open, the answer takes one.
  if ((type === 'offer') !== (setup === 'actpass')) return { refused: `setup ${setup} in an ${type}` };
  return { iceUfrag, icePwd, fingerprint, setup };
}

export function formatSdp(description: SessionDescription): string {
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
    `a=setup:${description.setup}`,
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
