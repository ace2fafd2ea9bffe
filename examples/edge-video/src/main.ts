/**
 * Video from the edge, analysed in the cloud, over Evio.
 *
 *   edge-video camera        on a machine of the edge
 *   edge-video analysis      where its pictures are to be counted
 */
import { hostname } from 'node:os';
import { analysis } from './analysis.ts';
import { camera } from './camera.ts';
import { thisProcess } from './process.ts';
import { settingsOf } from './settings.ts';

const PARTS = { camera, analysis } as const;
const part = process.argv[2] ?? '';
if (!(part in PARTS)) {
  process.stderr.write('edge-video: which part? one of: camera, analysis\n');
  process.exit(2);
}
const self = thisProcess();
try {
  await PARTS[part as keyof typeof PARTS](settingsOf(process.env, hostname()), self);
} catch (error) {
  self.fail(error instanceof Error ? error.message : String(error));
}
