import { expect } from 'chai';
import { settingsOf } from './settings.ts';

describe('the settings of the example', () => {
  it('are the test source, on evio0, by the name of the host, when nothing is said', () => {
    expect(settingsOf({ CAMERA_NAME: '', CAMERA_INPUT: ' ' }, 'pi1')).to.deep.equal({
      link: 'evio0',
      name: 'pi1',
      port: 8080,
      input: ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25'],
      framesFile: undefined,
    });
  });

  it('are what the environment says', () => {
    const env = {
      EVIO_INTERFACE: 'evio1',
      CAMERA_NAME: 'door',
      CAMERA_PORT: '81',
      CAMERA_INPUT: '-f v4l2  -i /dev/video0',
    };
    expect(settingsOf({ ...env, ANALYSIS_FRAMES: '/tmp/frames' }, 'pi1')).to.deep.equal({
      link: 'evio1',
      name: 'door',
      port: 81,
      input: ['-f', 'v4l2', '-i', '/dev/video0'],
      framesFile: '/tmp/frames',
    });
  });

  for (const port of ['0', '65536', 'http', '8080.5'])
    it(`refuse ${port} as a port`, () => {
      expect(() => settingsOf({ CAMERA_PORT: port }, 'pi1')).to.throw(`CAMERA_PORT is "${port}"; allowed: 1 to 65535`);
    });
});
