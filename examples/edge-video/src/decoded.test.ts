import { expect } from 'chai';
import fc from 'fast-check';
import { decoded, decoderArguments } from './decoded.ts';

/** As ffmpeg 5.1 says it. */
const FRAME =
  '[Parsed_showinfo_1 @ 0x5621ddfd9e00] [info] n:  12 pts:  43200 pts_time:0.48    pos:    86668 fmt:yuv420p sar:1/1 s:640x360 i:P iskey:0 type:P checksum:3D5E0364 plane_checksum:[C6839375 95977541 DB0DFA90] mean:[125 128 125] stdev:[56.1 78.7 81.9]';

describe('what ffmpeg says of a stream', () => {
  it('is a picture with its time, checksum and brightness', () => {
    expect(decoded(FRAME)).to.deep.equal({ kind: 'frame', seconds: 0.48, checksum: '3D5E0364', brightness: 125 });
  });

  it('is how many pictures a second there should be', () => {
    const line = '[Parsed_showinfo_1 @ 0x5621] [info] config in time_base: 1/90000, frame_rate: 30000/1001';
    expect(decoded(line)).to.deep.equal({ kind: 'rate', perSecond: 30_000 / 1_001 });
  });

  it('is a change of scene', () => {
    const line = '[scdet @ 0x563bde548a80] [info] lavfi.scd.score: 40.364, lavfi.scd.time: 2';
    expect(decoded(line)).to.deep.equal({ kind: 'scene' });
  });

  it('is a corrupt picture, or a problem in words', () => {
    expect(decoded('[warning] http: corrupt decoded frame in stream 0')).to.deep.equal({ kind: 'corrupt' });
    expect(decoded('[h264 @ 0x55bb0ac5db00] [error] error while decoding MB 27 12')).to.deep.equal({
      kind: 'problem',
      text: 'error while decoding MB 27 12',
    });
  });

  it('is nothing else, whatever it is', () => {
    expect(decoded('[info] Stream mapping:')).to.equal(undefined);
    fc.assert(fc.property(fc.string(), (line) => void decoded(line)));
  });

  it('comes from the URL alone, which no option follows', () => {
    const words = decoderArguments('http://10.45.0.1:8080/video.ts');
    expect(words[words.indexOf('-i') + 1]).to.equal('http://10.45.0.1:8080/video.ts');
  });
});
