/** Removes what a demo with KEEP=1 left: its namespaces, the processes in them, its folders. */
import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { takeDown } from './internet.ts';
import { FOLDER } from './shell.ts';

await takeDown();
for (const name of readdirSync(tmpdir())) {
  if (name.startsWith(FOLDER)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
