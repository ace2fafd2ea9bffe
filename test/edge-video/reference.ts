/** The pictures of the test source, encoded as the camera does and decoded as the analysis does, without a network in between. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encoderArguments } from '../../examples/edge-video/src/camera.ts';
import { decoded, decoderArguments } from '../../examples/edge-video/src/decoded.ts';
import { settingsOf } from '../../examples/edge-video/src/settings.ts';

const ffmpeg = (args: readonly string[]) => promisify(execFile)('ffmpeg', args, { maxBuffer: 64 << 20 });

/** Of each its time in the stream and its checksum. */
export async function reference(count: number): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'evio-video-reference-'));
  const file = join(dir, 'video.ts');
  try {
    // Not at the speed of a camera.
    const source = settingsOf({}, '').input.filter((word) => word !== '-re');
    const encode = encoderArguments([...source, '-frames:v', String(count)]);
    await ffmpeg(encode.map((word) => (word === 'pipe:1' ? file : word)));
    const { stderr } = await ffmpeg(decoderArguments(file));
    return stderr
      .split('\n')
      .map(decoded)
      .flatMap((event) => (event?.kind === 'frame' ? [`${event.seconds} ${event.checksum}`] : []));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
