/** What the environment says, with a default for everything. */

export interface Settings {
  /** The overlay's interface: nothing is announced, asked or served anywhere else. */
  readonly link: string;
  /** Under which the camera is found. */
  readonly name: string;
  readonly port: number;
  /** What ffmpeg reads from: words of its command line. */
  readonly input: readonly string[];
  /** Where every frame that was decoded gets a line, or nowhere. */
  readonly framesFile: string | undefined;
}

const TEST_SOURCE = '-re -f lavfi -i testsrc2=size=640x360:rate=25';

export function settingsOf(env: Readonly<Record<string, string | undefined>>, hostName: string): Settings {
  const said = (name: string): string | undefined => env[name]?.trim() || undefined;
  return {
    link: said('EVIO_INTERFACE') ?? 'evio0',
    name: said('CAMERA_NAME') ?? hostName,
    port: portOf(said('CAMERA_PORT') ?? '8080'),
    input: (said('CAMERA_INPUT') ?? TEST_SOURCE).split(/\s+/),
    framesFile: said('ANALYSIS_FRAMES'),
  };
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new Error(`CAMERA_PORT is ${JSON.stringify(text)}; allowed: 1 to 65535`);
}
