/** The analysis: finds every camera of the overlay, decodes its pictures, and says once a second what it saw. */
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { decoded, decoderArguments } from './decoded.ts';
import { browse, type Camera } from './discovery.ts';
import { overlayPlace, watchPlace } from './overlay.ts';
import type { Process } from './process.ts';
import type { Settings } from './settings.ts';
import { reportLine, Tally } from './tally.ts';

const REPORT_MS = 1_000;
/** After a stream that ended, or never began. */
const AGAIN_MS = 1_000;

export async function analysis(settings: Settings, { say, fail, ffmpeg }: Process): Promise<void> {
  const place = await overlayPlace(settings.link, say);
  watchPlace(settings.link, place, () => fail(`${settings.link} is gone or another one: starting again is up to you`));
  const started = performance.now();
  const cameras = new Map<string, Camera>();
  /** A camera that has said goodbye is watched until its stream ends: it may be back by then. */
  const watched = new Set<string>();
  const changed = (found: readonly Camera[]): void => {
    cameras.clear();
    for (const camera of found) {
      cameras.set(camera.name, camera);
      if (!watched.has(camera.name)) void watch(camera.name);
    }
  };
  /** Its streams, one after the other, for as long as it is announced. */
  const watch = async (name: string): Promise<void> => {
    watched.add(name);
    const tally = new Tally();
    const after = ((performance.now() - started) / 1_000).toFixed(1);
    say(`found camera=${JSON.stringify(name)} url=${cameras.get(name)?.url} seconds=${after}`);
    let last = performance.now();
    const reports = setInterval(() => {
      const now = performance.now();
      say(reportLine(name, tally.report((now - last) / 1_000)));
      last = now;
    }, REPORT_MS);
    for (let camera = cameras.get(name); camera !== undefined; camera = cameras.get(name)) {
      tally.begin();
      await decode(camera, tally);
      await sleep(AGAIN_MS);
    }
    clearInterval(reports);
    watched.delete(name);
    say(`gone camera=${JSON.stringify(name)}`);
  };
  const decode = async (camera: Camera, tally: Tally): Promise<void> => {
    const { stderr } = ffmpeg(decoderArguments(camera.url), ['ignore', 'ignore', 'pipe']);
    if (stderr === null) return;
    for await (const line of createInterface({ input: stderr })) {
      const event = decoded(line);
      if (event === undefined) continue;
      tally.handle(event);
      if (event.kind === 'problem') say(`camera=${JSON.stringify(camera.name)} ffmpeg: ${event.text}`);
      if (event.kind === 'frame' && settings.framesFile !== undefined)
        appendFileSync(settings.framesFile, `${event.seconds} ${event.checksum} ${camera.name}\n`);
    }
  };
  browse(place, changed, (error) => fail(error.message));
  say(`looking for cameras on ${settings.link}`);
}
