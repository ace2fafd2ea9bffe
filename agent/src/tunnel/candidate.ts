/**
 * ICE candidates: the library's lines (RFC 8839 §5.1), and the short text that nodes send each other (docs/wire.md §9.3). Nothing
 * a peer wrote is handed to the native WebRTC library as it came: it is parsed here and written anew, because a host name would
 * make that library resolve it and a malformed line ends the process.
 */
import { isIP, isIPv6 } from 'node:net';

/** RFC 8839 allows more; a longer line has no use. */
const MAX_CANDIDATE_CHARACTERS = 512;

/** By the letter that stands for them in the short text. */
const TYPES = { h: 'host', s: 'srflx', p: 'prflx', r: 'relay' } as const;

export type CandidateType = (typeof TYPES)[keyof typeof TYPES];

export interface IceCandidate {
  readonly foundation: string;
  readonly priority: number;
  readonly address: string;
  readonly port: number;
  readonly type: CandidateType;
}

const LINE =
  /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) 1 (?:UDP|udp) ([0-9]{1,10}) ([0-9A-Fa-f.:]{2,45}) ([0-9]{1,5}) typ (host|srflx|prflx|relay)(?: .*)?$/;
const SHORT = /^([A-Za-z0-9+/]{1,32}) ([0-9]{1,10}) ([0-9A-Fa-f.:]{2,45}) ([0-9]{1,5}) ([hspr])$/;

/** The candidate in a line of the library's, or undefined when it is no UDP candidate with a literal address. */
export function parseCandidateLine(line: string): IceCandidate | undefined {
  return line.length > MAX_CANDIDATE_CHARACTERS ? undefined : checked(LINE.exec(line), (type) => type as CandidateType);
}

/** RFC 8839 wants a related address on all but host candidates; nobody uses it, and the own one tells the LAN's addresses. */
export function formatCandidateLine(candidate: IceCandidate): string {
  const { foundation, priority, address, port, type } = candidate;
  const related = type === 'host' ? '' : ` raddr ${isIPv6(address) ? '::' : '0.0.0.0'} rport 0`;
  return `candidate:${foundation} 1 UDP ${priority} ${address} ${port} typ ${type}${related}`;
}

/** The candidate that a peer wrote, or undefined when it is none. */
export function parseCandidate(text: string): IceCandidate | undefined {
  if (text.length > MAX_CANDIDATE_CHARACTERS) return undefined;
  return checked(SHORT.exec(text), (letter) => TYPES[letter as keyof typeof TYPES]);
}

/** `1 2122317823 192.0.2.1 40000 h`: foundation, priority, address, port, first letter of the type. */
export const formatCandidate = ({ foundation, priority, address, port, type }: IceCandidate): string =>
  `${foundation} ${priority} ${address} ${port} ${type[0]}`;

function checked(match: RegExpExecArray | null, typeOf: (word: string) => CandidateType): IceCandidate | undefined {
  if (match === null) return undefined;
  const [, foundation = '', priority = '', address = '', port = '', type = ''] = match;
  if (isIP(address) === 0) return undefined;
  const portNumber = Number(port);
  if (portNumber < 1 || portNumber > 65535 || Number(priority) > 0xffffffff) return undefined;
  return { foundation, priority: Number(priority), address, port: portNumber, type: typeOf(type) };
}
