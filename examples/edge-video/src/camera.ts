/** A camera: who asks for its video over the overlay gets H.264 in an MPEG transport stream, for as long as the connection lasts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { announce, MEDIA_TYPE, PATH } from './discovery.ts';
import { overlayPlace, watchPlace } from './overlay.ts';
import type { Process } from './process.ts';
import type { Settings } from './settings.ts';

/** Each has an encoder of its own. */
const VIEWERS_MAX = 4;
/** A viewer that takes nothing for so long has gone without a word. */
const SILENT_MS = 30_000;

/** A picture a second that stands for itself, so that who lost something sees again within that; none that waits for a later one. */
export const encoderArguments = (input: readonly string[]): readonly string[] => [
  ...['-nostdin', '-hide_banner', '-loglevel', 'warning'],
  ...input,
  ...['-an', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p'],
  ...['-crf', '23', '-g', '25', '-f', 'mpegts', 'pipe:1'],
];

export async function camera(settings: Settings, { say, fail, onEnd, ffmpeg }: Process): Promise<void> {
  const place = await overlayPlace(settings.link, say);
  watchPlace(settings.link, place, () => fail(`${settings.link} is gone or another one: starting again is up to you`));
  let viewers = 0;
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const viewer = request.socket.remoteAddress ?? 'nobody';
    if (request.method !== 'GET' || request.url !== PATH) {
      response.writeHead(404).end();
      return;
    }
    if (viewers >= VIEWERS_MAX) {
      say(`${viewer} is one viewer too many, of ${VIEWERS_MAX}`);
      response.writeHead(503).end();
      return;
    }
    viewers += 1;
    say(`${viewer} watches`);
    const encoder = ffmpeg(encoderArguments(settings.input), ['ignore', 'pipe', 'inherit']);
    request.socket.setTimeout(SILENT_MS, () => request.socket.destroy());
    response.writeHead(200, { 'content-type': MEDIA_TYPE });
    encoder.stdout?.pipe(response);
    response.on('close', () => {
      viewers -= 1;
      encoder.kill();
      say(`${viewer} has left`);
    });
  };
  const server = createServer(serve);
  server.on('error', (error) => fail(`the camera cannot serve on ${place.address}:${settings.port}: ${error.message}`));
  server.listen(settings.port, place.address, () => {
    onEnd(announce(place, settings, (error) => fail(error.message)));
    say(`camera ${settings.name} serves http://${place.address}:${settings.port}${PATH}`);
  });
}
