import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { runOf } from './compose.ts';

const FILE = readFileSync(new URL('../../examples/edge-video/compose.yaml', import.meta.url), 'utf8');
const where = (env: Readonly<Record<string, string>> = {}) => ({
  netns: 'evio-video-home2',
  folder: '/srv/video',
  volumes: '/srv/volumes',
  env,
  entrypoint: () => ['/opt/evio/evio'],
});

describe('a compose file as containers of containerd', () => {
  it('gives the node its host’s network, one capability, one device, its file and a place for its state', () => {
    const { image, options, command, folders } = runOf(FILE, 'evio', where());
    expect(image).to.equal('localhost/evio/host:0.1.0');
    // The image's own.
    expect(command).to.deep.equal([]);
    expect(folders).to.deep.equal(['/srv/volumes/evio-state']);
    const said = options.join(' ');
    expect(said).to.contain('--with-ns network:/run/netns/evio-video-home2');
    expect(options.filter((_, i) => options[i - 1] === '--cap-add')).to.deep.equal(['CAP_NET_ADMIN']);
    expect(options.filter((word) => word === '--cap-drop')).to.have.length(14);
    expect(said).to.contain('--device /dev/net/tun');
    expect(said).to.contain('--mount type=bind,src=/srv/video/node.json,dst=/etc/evio/node.json,options=rbind:ro');
    expect(said).to.contain('--mount type=bind,src=/srv/volumes/evio-state,dst=/var/lib/evio,options=rbind:rw');
    expect(said).to.contain('--mount type=tmpfs,dst=/run/evio,');
    expect(options).to.include.members(['--read-only', '--seccomp']);
    expect(options).not.to.include('--privileged');
  });

  it('gives the analysis no capability, and its command behind the image’s own', () => {
    const { options, command } = runOf(FILE, 'analysis', where({ ANALYSIS_FRAMES: '/tmp/frames', EVIO_TAG: '2' }));
    expect(command).to.deep.equal(['/opt/evio/evio', 'analysis']);
    expect(options).not.to.include('--cap-add');
    expect(options).to.include('ANALYSIS_FRAMES=/tmp/frames');
    expect(runOf(FILE, 'camera', where({ EVIO_TAG: '2' })).image).to.equal('localhost/evio/edge-video:2');
  });

  it('refuses what it would leave out', () => {
    const service = (text: string) => () => runOf(`services: {evio: {image: a, ${text}}}`, 'evio', where());
    expect(service('privileged: true')).to.throw('evio: privileged is not known here');
    expect(service('network_mode: bridge')).to.throw('network_mode is "bridge"; known here: "host"');
    expect(service('cap_drop: [NET_RAW]')).to.throw('cap_drop is ["NET_RAW"]; known here: ["ALL"]');
    expect(() => runOf(FILE, 'recorder', where())).to.throw('the compose file has no service recorder');
  });
});
