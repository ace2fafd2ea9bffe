import { expect } from 'chai';
import { type Model, runOf } from './compose.ts';

const NODE = {
  image: 'localhost/evio/host:0.1.0',
  network_mode: 'host',
  cap_drop: ['ALL'],
  cap_add: ['NET_ADMIN'],
  devices: [{ source: '/dev/net/tun', target: '/dev/net/tun', permissions: 'rwm' }],
  security_opt: ['no-new-privileges:true'],
  read_only: true,
  tmpfs: ['/run/evio'],
  volumes: [
    { type: 'bind', source: '/srv/node.json', target: '/etc/evio/node.json', read_only: true, bind: {} },
    { type: 'volume', source: 'evio-state', target: '/var/lib/evio', volume: {} },
  ],
  restart: 'unless-stopped',
};
const ANALYSIS = {
  profiles: ['analysis'],
  image: 'localhost/evio/edge-video:0.1.0',
  command: ['analysis'],
  entrypoint: null,
  environment: { ANALYSIS_FRAMES: '/tmp/frames', OTHER: null },
};
const MODEL: Model = { services: { evio: NODE, analysis: ANALYSIS } };
const WHERE = { netns: 'evio-video-home2', volumes: '/srv/volumes', entrypoint: () => ['/opt/evio/evio'] };

describe('a compose file as containers of containerd', () => {
  it('has the network of its host, one capability, one device, its file and a place for its state', () => {
    const { image, options, command, folders } = runOf(MODEL, 'evio', WHERE);
    expect(image).to.equal('localhost/evio/host:0.1.0');
    // The image's own.
    expect(command).to.deep.equal([]);
    expect(folders).to.deep.equal(['/srv/volumes/evio-state']);
    const said = options.join(' ');
    expect(said).to.contain('--with-ns network:/run/netns/evio-video-home2');
    expect(options.filter((_, i) => options[i - 1] === '--cap-add')).to.deep.equal(['CAP_NET_ADMIN']);
    expect(options.filter((word) => word === '--cap-drop')).to.have.length(14);
    expect(said).to.contain('--device /dev/net/tun');
    expect(said).to.contain('--mount type=bind,src=/srv/node.json,dst=/etc/evio/node.json,options=rbind:ro');
    expect(said).to.contain('--mount type=bind,src=/srv/volumes/evio-state,dst=/var/lib/evio,options=rbind:rw');
    expect(said).to.contain('--mount type=tmpfs,dst=/run/evio,');
    expect(options).to.include.members(['--read-only', '--seccomp']);
  });

  it('has a command behind the image’s own, and what its environment says', () => {
    const { options, command } = runOf(MODEL, 'analysis', WHERE);
    expect(command).to.deep.equal(['/opt/evio/evio', 'analysis']);
    expect(options.filter((_, i) => options[i - 1] === '--env')).to.deep.equal([
      'ANALYSIS_FRAMES=/tmp/frames',
      'OTHER=',
    ]);
  });

  it('is refused where something of it would be left out', () => {
    const service = (keys: object) => () => runOf({ services: { evio: { ...NODE, ...keys } } }, 'evio', WHERE);
    const [tun] = NODE.devices;
    expect(service({ privileged: true })).to.throw('evio: privileged is not known here');
    expect(service({ network_mode: 'bridge' })).to.throw('network_mode is "bridge"; known here: "host"');
    expect(service({ cap_drop: ['NET_RAW'] })).to.throw('cap_drop is ["NET_RAW"]; known here: ["ALL"]');
    expect(service({ devices: [{ ...tun, permissions: 'r' }] })).to.throw(
      'devices is {"target":"/dev/net/tun","permissions":"r"}',
    );
    expect(() => runOf(MODEL, 'recorder', WHERE)).to.throw('the compose file has no service recorder');
  });
});
