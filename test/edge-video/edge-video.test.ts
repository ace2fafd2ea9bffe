/**
 * The edge video example without Kubernetes (docs/edge-video.md): a bare host with a camera behind a home's NAT, one in containers behind
 * two NATs of a carrier's, and the analysis in containers behind the NAT of its cloud. Agents, servers, NATs, ffmpeg are real; the
 * containers are what examples/edge-video/compose.yaml says.
 */
import './prefix.ts';
import { expect } from 'chai';
import { attempt, pidsIn, until } from '../demo/shell.ts';
import { bytesOf, capabilitiesOf, from, sightings } from './look.ts';
import { reference } from './reference.ts';
import { Site } from './site.ts';

/** From the analysis' first question to the camera's answer. */
const FOUND_S = 5;
const PICTURES = 250;
const FEW = 50;
/** Some looks of the analysis at its interface. */
const AWAY_MS = 3_000;
const NET_ADMIN = '0000000000001000';
const NONE = '0000000000000000';

describe('video from the edge, analysed in the cloud', function () {
  this.timeout(120_000);
  let site: Site;

  before(async function () {
    this.timeout(300_000);
    site = await Site.make();
    site.startHome();
    site.startCloud();
    await site.reaches(site.cloud, site.home);
  });
  after(async function () {
    this.timeout(60_000);
    await site?.remove();
  });

  const fine = (name: string): void => {
    const { lost, corrupt } = site.report(name) ?? {};
    expect({ lost, corrupt }).to.deep.equal({ lost: 0, corrupt: 0 });
  };

  it(`finds the camera by multicast within ${FOUND_S} s`, async () => {
    site.startAnalysis();
    const { url, seconds } = await site.found('home1');
    expect(url).to.equal(`http://${site.home.ipv4}:8080/video.ts`);
    expect(seconds).to.be.at.most(FOUND_S);
  });

  it(`decodes ${PICTURES} pictures, none lost and none corrupt, as many a second as the camera has`, async () => {
    await site.pictures('home1', PICTURES);
    fine('home1');
    expect(site.report('home1')?.brightness).to.be.within(100, 150);
    const [count, ms] = [site.report('home1')?.frames ?? 0, performance.now()];
    await site.pictures('home1', 2 * PICTURES);
    const perSecond = ((site.report('home1')?.frames ?? 0) - count) / ((performance.now() - ms) / 1_000);
    expect(perSecond).to.be.within(20, 30);
  });

  it('sees every picture as it was encoded', async () => {
    expect(difference(site.seen('home1'), await reference(PICTURES))).to.equal('');
  });

  it('has the video by a direct path through both NATs: one encrypted tunnel carries all of it', async () => {
    const before = site.peer(site.home);
    expect(before?.path).to.equal('direct');
    const tap = await bytesOf(site.cloud.name, 'evio0');
    // Sealed records, as they come out of the home's NAT, from the tunnel's other end.
    const records = await from(site.cloud.name, 'eth0', before?.remote?.address ?? '', 3_000);
    const video = (await bytesOf(site.cloud.name, 'evio0')) - tap;
    const counted = (site.peer(site.home)?.rxBytes ?? 0) - (before?.rxBytes ?? 0);
    expect(video).to.be.above(100_000);
    // The looks begin and end at times of their own.
    expect(records).to.be.above(video * 0.7);
    expect(counted).to.be.above(video * 0.7);
  });

  it('shows nothing of the video outside of the overlay', async () => {
    // ffmpeg names its programme so in every stream, twice a second.
    const marker = 'Service01';
    const [inside, ...outside] = await Promise.all([
      sightings(site.cloud.name, 'evio0', marker),
      sightings('inet', 'any', marker),
      sightings(site.home.name, 'eth0', marker),
      sightings(site.cloud.name, 'eth0', marker),
    ]);
    expect(inside).to.be.above(0);
    expect(outside).to.deep.equal([0, 0, 0]);
  });

  it('has a camera that comes later, behind NATs that need a relay, in the same way', async () => {
    site.startMobile();
    await site.found('lte1');
    await site.pictures('lte1', FEW);
    expect(site.peer(site.mobile)?.path).to.equal('webrtc');
    fine('lte1');
    expect(difference(site.seen('lte1'), await reference(FEW))).to.equal('');
  });

  it('has no two cameras of one name: the later one says so and ends', async () => {
    const second = site.startCamera(site.cloud, 'home1');
    await until('it says so', 30_000, async () =>
      second.said().includes('another camera is called home1: set CAMERA_NAME'),
    );
    await second.stop();
    expect((await site.found('home1')).url).to.equal(`http://${site.home.ipv4}:8080/video.ts`);
  });

  it('gives the container of the node NET_ADMIN and no other capability, and the others none', async () => {
    const { name } = site.cloud;
    expect(await capabilitiesOf(name, /\/evio\.mjs\0agent\0run/)).to.deep.equal([NET_ADMIN]);
    expect(await capabilitiesOf(name, /^\/opt\/evio\/tincan\0/)).to.deep.equal([NET_ADMIN]);
    expect(await capabilitiesOf(name, /edge-video\.mjs\0analysis/)).to.deep.equal([NONE]);
  });

  it('goes on by itself, with no new start, when the container of the node has crashed and evio0 has no carrier', async () => {
    const ran = await pidsIn(site.cloud.name);
    const said = site.analysis.said().length;
    await site.cloudNode.crash(AWAY_MS);
    await until('evio0 has no carrier', AWAY_MS, async () =>
      (await attempt(site.cloud.name, ['ip', '-o', 'link', 'show', 'evio0'])).stdout.includes('NO-CARRIER'),
    );
    await site.reaches(site.cloud, site.home);
    expect(site.analysis.said().slice(said)).not.to.match(/gone or another one|looking for cameras/);
    // The analysis is one of those that are still there.
    expect((await pidsIn(site.cloud.name)).some((pid) => ran.includes(pid))).to.equal(true);
    const before = site.report('home1')?.frames ?? 0;
    await site.pictures('home1', before + FEW);
    fine('home1');
  });

  it('begins anew when the node was stopped and started, with another interface', async () => {
    site.fromNow();
    await site.cloudNode.stop();
    await site.analysisSays('that its interface went', /evio0 is gone or another one/);
    site.startCloud();
    await site.found('home1');
    // It counts from nothing.
    site.fromNow();
    await site.pictures('home1', FEW);
    expect(site.report('home1')?.frames).to.be.below(PICTURES);
    fine('home1');
  });

  it('leaves nothing of the node on a host whose containers were stopped', async () => {
    const { name } = site.cloud;
    await site.analysis.stop();
    await site.cloudNode.stop();
    const links = (await attempt(name, ['ip', '-o', 'link', 'show'])).stdout;
    expect(links, site.cloudNode.said().slice(-1_000)).not.to.match(/evio0/);
    expect((await attempt(name, ['nft', 'list', 'tables'])).stdout.trim()).to.equal('');
    expect(await pidsIn(name)).to.deep.equal([]);
  });
});

/** The first picture that is not as it should be, in words; of a thousand lines nobody would read it. */
function difference(got: readonly string[], wanted: readonly string[]): string {
  const at = wanted.findIndex((line, i) => line !== got[i]);
  return at < 0 ? '' : `picture ${at} is ${got[at] ?? 'not there'}, not ${wanted[at]}`;
}
