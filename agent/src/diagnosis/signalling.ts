/** What is wrong between a node and its XMPP server, as a finding. Pure. */
import type { XmppProblem } from '../io/xmpp-error.ts';
import { type Finding, type FindingCode, finding } from './finding.ts';

/** How the last attempt to sign in ended. */
export interface SignallingFailure {
  readonly problem: XmppProblem;
  /** Of the system or of OpenSSL: `ECONNREFUSED`, `CERT_HAS_EXPIRED`; '' where there is none. */
  readonly code: string;
  /** One line that names the server. */
  readonly message: string;
}

/** Where the account and its server are written down. */
export interface Account {
  /** The node file. */
  readonly file: string;
  /** `xmpps://host:port`. */
  readonly service: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly domain: string;
  readonly room: string;
}

const CODES: Readonly<Record<XmppProblem, FindingCode>> = {
  'wrong-password': 'xmpp-password',
  'untrusted-certificate': 'xmpp-untrusted',
  'server-away': 'xmpp-unreachable',
  insecure: 'xmpp-insecure',
  'room-missing': 'room-missing',
  'not-a-member': 'not-a-member',
  refused: 'xmpp-refused',
  protocol: 'xmpp-refused',
};

/** Codes of the system that say more than the kind of problem does. */
const BY_SYSTEM: Readonly<Record<string, FindingCode>> = {
  ENOTFOUND: 'xmpp-name',
  EAI_AGAIN: 'xmpp-dns',
  CERT_HAS_EXPIRED: 'xmpp-expired',
  CERT_NOT_YET_VALID: 'xmpp-expired',
};

export function signallingFinding({ problem, code, message }: SignallingFailure, account: Account): Finding {
  const kind = BY_SYSTEM[code] ?? CODES[problem];
  return finding(kind, message, fixOf(kind, code, account));
}

function fixOf(kind: FindingCode, code: string, { file, host, port, username, domain, room }: Account): string {
  const jid = `${username}@${domain}`;
  switch (kind) {
    case 'xmpp-password':
      return `renew the node (evio node enroll --renew, or evio join), which puts a new signalling.password for ${jid} into ${file}`;
    case 'xmpp-untrusted':
      return code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? `set signalling.domain in ${file} to a name that the server's certificate has, or give the server a certificate for ${domain}`
        : `put the certificate of the authority that signs it into signalling.ca of ${file}`;
    case 'xmpp-expired':
      return `renew the certificate on the server (evio server init), or set the clock of whichever machine is wrong`;
    case 'xmpp-dns':
      return `look at the name servers in /etc/resolv.conf: they do not answer for ${host}`;
    case 'xmpp-name':
      return `correct signalling.service in ${file}, or make ${host} known to the DNS`;
    case 'xmpp-unreachable':
      return code === 'ECONNREFUSED'
        ? `start the XMPP server on ${host}, or correct the port in signalling.service of ${file}`
        : `see whether the XMPP server on ${host} runs, and whether a firewall between lets TCP port ${port} pass`;
    case 'xmpp-insecure':
      return `give the server a certificate, or correct signalling.service in ${file}: xmpps:// and xmpp:// have different ports`;
    case 'room-missing':
      return `make the room ${room} again: evio overlay restore, where the overlay's directory is`;
    case 'not-a-member':
      return `let ${jid} into ${room} again: enrol the node anew, or evio overlay restore`;
    default:
      return `look at the log of the XMPP server on ${host}, and at signalling in ${file}`;
  }
}

/** How the XMPP server was found; null: not come so far. */
export interface SignallingPace {
  readonly service: string;
  readonly tcpMs: number | null;
  /** What it takes from a client in a second. */
  readonly bytesPerSecond: number | null;
}

/** A node's largest message is 16 KiB, twice in base64: with less it is on its way for more than seven seconds. */
const SLOW_RATE = 3_000;
/** On a slow network it is not the server's doing. */
const QUICK_TCP_MS = 300;

/** A server that takes our bytes slowly: nodes come into the room late, and some not at all. */
export function slowFindings({ service, tcpMs, bytesPerSecond }: SignallingPace): readonly Finding[] {
  if (tcpMs === null || bytesPerSecond === null || tcpMs > QUICK_TCP_MS || bytesPerSecond >= SLOW_RATE) return [];
  return [
    finding(
      'xmpp-slow',
      `${service} takes ${(bytesPerSecond / 1000).toFixed(1)} kB/s from this node, while its host answers in ${tcpMs.toFixed(0)} ms: it throttles its clients, or is overloaded`,
      'raise its rate for clients (limits of Prosody, shaper of ejabberd; evio server init sets them), or see what keeps that machine busy',
    ),
  ];
}
