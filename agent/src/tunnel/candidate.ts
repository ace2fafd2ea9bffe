/**
 * ICE candidates (RFC 8839 §5.1) as peers write them. Nothing a peer wrote is handed to the native WebRTC
 * library as it came: it is parsed here and written anew, because a host name would make that library resolve it and a malformed
 * line ends the process.
 */
import { isIP, isIPv6 } from 'node:net';

/** RFC 8839 allows more; a longer line has no use. */
const MAX_CANDIDATE_CHARACTERS = 512;

export type CandidateType = 'host' | 'srflx' | 'prflx' | 'relay';

export interface IceCandidate {
  readonly foundation: string;
  readonly priority: number;
  readonly address: string;
  readonly port: number;
  readonly type: CandidateType;
}

const CANDIDATE =
  /^(?:a=)?candidate:([A-Za-z0-9+/]{1,32}) 1 (?:UDP|udp) ([0-9]{1,10}) ([0-9A-Fa-f.:]{2,45}) ([0-9]{1,5}) typ (host|srflx|prflx|relay)(?: .*)?$/;

/** The candidate, or undefined when it is no UDP candidate with a literal address. */
export function parseCandidate(line: string): IceCandidate | undefined {
  if (line.length > MAX_CANDIDATE_CHARACTERS) return undefined;
  const match = CANDIDATE.exec(line);
  if (match === null) return undefined;
  const [, foundation = '', priority = '', address = '', port = '', type = ''] = match;
  if (isIP(address) === 0) return undefined;
  const portNumber = Number(port);
  if (portNumber < 1 || portNumber > 65535 || Number(priority) > 0xffffffff) return undefined;
  return { foundation, priority: Number(priority), address, port: portNumber, type: type as CandidateType };
}

/** RFC 8839 wants a related address on all but host candidates; nobody uses it, and the own one tells the LAN's addresses. */
export function formatCandidate(candidate: IceCandidate): string {
  const { foundation, priority, address, port, type } = candidate;
  const related = type === 'host' ? '' : ` raddr ${isIPv6(address) ? '::' : '0.0.0.0'} rport 0`;
  return `candidate:${foundation} 1 UDP ${priority} ${address} ${port} typ ${type}${related}`;
}
