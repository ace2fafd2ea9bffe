/** What ffmpeg says while it decodes, a line at a time: its filters `showinfo` and `scdet` tell of each picture. */

export type Decoded =
  | { readonly kind: 'rate'; readonly perSecond: number }
  | {
      readonly kind: 'frame';
      /** Its time in the stream. */
      readonly seconds: number;
      /** Adler-32 of the picture's bytes. */
      readonly checksum: string;
      /** Mean of the luma, 0 to 255. */
      readonly brightness: number;
    }
  | { readonly kind: 'scene' }
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'problem'; readonly text: string };

const FRAME = /\] n: *\d+ pts: *\S+ pts_time:(\S+) .* checksum:([0-9A-F]{8}) .* mean:\[(\d+)/;
const RATE = /config in time_base: \S+ frame_rate: (\d+)\/(\d+)/;
const SCENE = /lavfi\.scd\.score: /;
const CORRUPT = /corrupt decoded frame/;
const PROBLEM = /\[(warning|error|fatal|panic)\] (.*)/;

export function decoded(line: string): Decoded | undefined {
  const [, time, checksum, luma] = FRAME.exec(line) ?? [];
  if (time !== undefined && checksum !== undefined)
    return { kind: 'frame', seconds: Number(time), checksum, brightness: Number(luma) };
  const [, frames, seconds] = RATE.exec(line) ?? [];
  if (frames !== undefined) return { kind: 'rate', perSecond: Number(frames) / Number(seconds) };
  if (SCENE.test(line)) return { kind: 'scene' };
  if (CORRUPT.test(line)) return { kind: 'corrupt' };
  const [, , text] = PROBLEM.exec(line) ?? [];
  return text === undefined ? undefined : { kind: 'problem', text };
}

/** Decodes a stream to nothing, and says what it sees, after half a second's look. A camera that is silent for ten has gone. */
export const decoderArguments = (url: string): readonly string[] => [
  ...['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+info'],
  ...['-rw_timeout', '10000000', '-analyzeduration', '500000', '-f', 'mpegts', '-i', url],
  ...['-map', '0:v:0', '-vf', 'scdet=threshold=10,showinfo', '-f', 'null', '-'],
];
