/**
 * EvioPeer: a machine outside the cluster that is on the overlay all the same, a laptop or a camera's gateway. A person writes it, the
 * operator gives it an EvioNode of the same name, which has the address; a machine takes it by a token that is made for it.
 */
import * as z from 'zod';
import { conditions } from './condition.ts';
import { NETWORK_NAME } from './evio-network.ts';
import { field } from './field.ts';
import type { API_VERSION, ObjectMeta } from './object-meta.ts';

export const evioPeerSpec = field(
  z.strictObject({
    network: field(z.enum([NETWORK_NAME]).default(NETWORK_NAME), {
      description: 'The EvioNetwork that the machine is part of.',
    }),
  }),
  { description: 'What is wanted. Every field has a default.' },
);

const time = (description: string) => field(z.string().max(64).optional(), { description, format: 'date-time' });

export const evioPeerStatus = field(
  z.strictObject({
    observedGeneration: field(z.int().min(0).optional(), {
      description: 'The metadata.generation that the operator has acted on.',
    }),
    conditions: conditions('How the peer is: Accepted and Joined.'),
    nodeID: field(
      z
        .string()
        .max(32)
        .regex(/^[0-9a-f]{32}$/)
        .optional(),
      { description: 'The node id of the machine that joined, in hex: a hash of its key.' },
    ),
    addresses: field(
      z
        .array(field(z.string().max(43), { description: 'With the length of its network.' }))
        .max(2)
        .optional(),
      {
        description: 'Its overlay addresses, at most one of each family.',
      },
    ),
    joined: time('When the machine joined.'),
    certificateNotAfter: time('When its certificate ends. A machine that is on gets another one long before.'),
  }),
  { description: 'What there is. Written by the operator.' },
);

export type EvioPeerSpec = z.output<typeof evioPeerSpec>;
export type EvioPeerStatus = z.output<typeof evioPeerStatus>;

export interface EvioPeer {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'EvioPeer';
  readonly metadata: ObjectMeta;
  readonly spec: EvioPeerSpec;
  readonly status?: EvioPeerStatus | undefined;
}
