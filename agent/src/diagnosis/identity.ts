/** What is wrong with who the node is: its certificate, its clock, somebody with its address or keys. Pure. */
import { type ClockState, clockProblem, span } from '../signal/clock.ts';
import { type Finding, finding } from './finding.ts';

export interface IdentityFacts {
  readonly file: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly clock: ClockState;
  /** Seconds since 1970 as far as known; undefined: the clock is wrong and nobody said better. */
  readonly known: number | undefined;
  readonly revoked: boolean;
  /** A node that has one of our addresses by a newer certificate. */
  readonly displacedBy: { readonly name: string; readonly nodeId: string; readonly address: string } | undefined;
  readonly twin: boolean;
}

/** A certificate in its last tenth is due long since: its authority renews it when a third is left. */
const LAST_SHARE = 0.1;
const LAST_SECONDS = 14 * 86_400;

const RENEW = 'evio node enroll --renew, or let evio authority serve run, which renews it by itself';

export function identityFindings(facts: IdentityFacts): readonly Finding[] {
  const { file, name, notBefore, notAfter, clock, known, revoked, displacedBy, twin } = facts;
  const found: Finding[] = [];
  const day = new Date(notAfter * 1000).toISOString().slice(0, 16).replace('T', ' ');
  if (revoked)
    found.push(
      finding(
        'revoked',
        `the certificate of ${name} in ${file} is revoked`,
        'enrol the node again (evio node enroll, or evio join)',
      ),
    );
  const wrongClock = clockProblem(clock, notAfter);
  if (known !== undefined && known > notAfter)
    found.push(
      finding('certificate-expired', `the certificate of ${name} in ${file} ended at ${day} UTC`, `renew it: ${RENEW}`),
    );
  else if (clock.kind === 'ahead' && known === undefined)
    found.push(
      finding(
        'certificate-expired',
        `the certificate of ${name} in ${file} ended at ${day} UTC, by this machine's clock`,
        `renew it: ${RENEW}; or set the clock, if that is what is wrong`,
      ),
    );
  else if (wrongClock !== undefined)
    found.push(finding('clock', wrongClock, 'set it, by NTP: timedatectl set-ntp true, or chronyc makestep'));
  else {
    const left = notAfter - (known ?? notAfter);
    if (known !== undefined && left < Math.min(LAST_SECONDS, (notAfter - notBefore) * LAST_SHARE))
      found.push(
        finding(
          'certificate-soon',
          `the certificate of ${name} in ${file} ends in ${span(left)}, at ${day} UTC`,
          `renew it: ${RENEW}`,
        ),
      );
  }
  if (displacedBy !== undefined)
    found.push(
      finding(
        'address-duplicate',
        `${displacedBy.name} (${displacedBy.nodeId}) has ${displacedBy.address} as well, by a newer certificate: the others talk to it alone`,
        'give one of the two another address (evio node enroll --renew --address4)',
      ),
    );
  if (twin)
    found.push(
      finding(
        'identity-twin',
        `another agent runs with the keys of ${name}`,
        `find the machine that has a copy of ${file}, and enrol it as a node of its own`,
      ),
    );
  return found;
}
