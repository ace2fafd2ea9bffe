/**
 * The definitions of EvioNetwork and EvioNode, brought up to date when the operator starts: Helm does not upgrade what it has to keep, and
 * without them there is nothing to watch.
 */
import type { Log } from '../../../agent/src/io/log.ts';
import type { Client } from '../../../agent/src/kube-api/client.ts';
import { CUSTOM_RESOURCE_DEFINITION, type CustomResourceDefinition } from '../../../agent/src/kube-api/kinds.ts';
import type { Applied } from '../../../agent/src/kube-api/object.ts';
import { crdOf } from '../../../crds/src/generate.ts';
import { KINDS } from '../../../crds/src/kinds.ts';

/** What fails is said and left: definitions that are there are good enough to begin with. */
export async function applyDefinitions(client: Pick<Client, 'apply'>, log: Log): Promise<void> {
  for (const kind of KINDS) {
    try {
      // Of our own making: its form is checked against a real API server.
      const definition = crdOf(kind) as unknown as Applied<CustomResourceDefinition>;
      await client.apply(CUSTOM_RESOURCE_DEFINITION, definition);
    } catch (error) {
      log.warn(
        `the definition of ${kind.kind} stays as it is: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
