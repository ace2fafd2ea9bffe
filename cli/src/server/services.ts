/** The two servers as programs to run: which, as whom, with what, and how to tell that they answer. */

import { readFileSync } from 'node:fs';
import { coturnMatters } from './coturn-log.ts';
import type { ServerLayout } from './layout.ts';
import { stunAnswers, tlsAnswers } from './ready.ts';
import type { ServerSettings } from './settings.ts';
import { XMPP_SERVERS } from './xmpp-server.ts';

export interface Service {
  readonly name: string;
  readonly user: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The directory it may write to. */
  readonly writes?: string;
  /** Nodes' traffic goes through it: it comes before what else wants the processor. */
  readonly carriesTraffic: boolean;
  /** Where it answers, for the line that says it is ready. */
  readonly places: string;
  /** What must be free before it starts: both servers go on without a port they did not get. */
  readonly ports: readonly { readonly protocol: 'tcp' | 'udp'; readonly address: string; readonly port: number }[];
  /** For one start: a question to repeat until every place answers. */
  readiness(): () => Promise<boolean>;
  /** A line of its log that a person should see. */
  matters(line: string): boolean;
}

export function servicesOf(layout: ServerLayout, settings: ServerSettings): readonly Service[] {
  const { ports, domain } = settings;
  const xmpp = XMPP_SERVERS[settings.xmpp];
  const locals = settings.addresses.map((a) => a.local);
  const all = async (asks: readonly Promise<boolean>[]): Promise<boolean> => (await Promise.all(asks)).every(Boolean);
  return [
    {
      name: xmpp.name,
      user: xmpp.user,
      command: [xmpp.program, ...xmpp.arguments(layout.xmpp)],
      environment: xmpp.environment(layout.xmpp),
      writes: layout.xmpp.data,
      carriesTraffic: false,
      places: `XMPP for ${domain} on ${locals.join(', ')} ports ${ports.tls} (TLS) and ${ports.starttls} (STARTTLS)`,
      ports: locals.flatMap((address) =>
        [ports.tls, ports.starttls].map((port) => ({ protocol: 'tcp' as const, address, port })),
      ),
      readiness: () => {
        // Another one may be installed between the start and the server's look at the file.
        const certificates = new Set<string>();
        return () => {
          certificates.add(readFileSync(layout.xmpp.certificate, 'utf8'));
          return all(locals.map((host) => tlsAnswers({ host, port: ports.tls, domain, certificates })));
        };
      },
      matters: xmpp.matters,
    },
    {
      name: 'coturn',
      user: 'turnserver',
      command: ['turnserver', '-c', layout.coturnConfig],
      environment: {},
      carriesTraffic: true,
      places: `STUN and TURN on ${locals.join(', ')} UDP ports ${ports.turn} and ${ports.turn + 1}`,
      ports: locals.flatMap((address) =>
        [ports.turn, ports.turn + 1].map((port) => ({ protocol: 'udp' as const, address, port })),
      ),
      readiness: () => () => all(locals.map((host) => stunAnswers(host, ports.turn))),
      matters: coturnMatters(),
    },
  ];
}
