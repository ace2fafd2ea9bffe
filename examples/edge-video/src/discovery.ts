/** DNS-SD over multicast DNS (RFC 6763, RFC 6762) on the overlay's interface alone. */
import { BlockList } from 'node:net';
import { Bonjour, type Service } from 'bonjour-service';
import type { Place } from './overlay.ts';

export const PATH = '/video.ts';
export const MEDIA_TYPE = 'video/mp2t';
/** DNS-SD's word for what is fetched by HTTP; `path` in its TXT record is registered with it. */
const TYPE = 'http';

/** Sockets for multicast are bound to all addresses, or nothing sent to the group would come; the membership is on one interface. */
const onLink = (place: Place, failed: (error: Error) => void): Bonjour =>
  new Bonjour({ interface: place.address, bind: '0.0.0.0' } as object, failed);

/** Announces a camera until the function that comes back is called, which says goodbye. */
export function announce(
  place: Place,
  { name, port }: { readonly name: string; readonly port: number },
  failed: (error: Error) => void,
): () => Promise<void> {
  const bonjour = onLink(place, failed);
  const txt = { path: PATH, media: MEDIA_TYPE };
  const service = bonjour.publish({ name, type: TYPE, port, txt, host: `${name.replaceAll(' ', '-')}.local` });
  // The library has an address record for every interface of the machine. Those of its own network are nobody's business here, and no
  // member of the overlay could reach them. And it says goodbye also to a name that it found to be another one's.
  const all = service.records.bind(service);
  const ours = (): ReturnType<typeof all> =>
    all().filter(({ type, data }) => (type !== 'A' && type !== 'AAAA') || data === place.address);
  service.records = () => (service.activated || service.published ? ours() : []);
  service.once('up', () => clearTimeout(late));
  const late = setTimeout(() => failed(new Error(`another camera is called ${name}: set CAMERA_NAME`)), 5_000);
  return () =>
    new Promise((done) => {
      bonjour.unpublishAll(() => {
        bonjour.destroy();
        done();
      });
    });
}

export interface Camera {
  readonly name: string;
  readonly url: string;
}

/** Gives a camera's URL, or undefined for what is no camera of the overlay. */
export function cameraOf(
  service: Pick<Service, 'name' | 'port' | 'txt' | 'referer'>,
  place: Place,
): Camera | undefined {
  // The answer's sender is its address: it came by the overlay, so that is a way there. A socket that is bound to all addresses hears
  // what other programs of this machine have asked for on other interfaces too.
  const from = service.referer;
  if (from === undefined || from.family !== 'IPv4' || !within(place.cidr, from.address)) return undefined;
  if (service.txt?.media !== MEDIA_TYPE || service.txt.path !== PATH) return undefined;
  return { name: service.name, url: `http://${from.address}:${service.port}${PATH}` };
}

function within(cidr: string, address: string): boolean {
  const [net = '', length] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(net, Number(length));
  return list.check(address);
}

/** Between two questions, each time twice as long (RFC 6762 §5.2). */
const FIRST_MS = 1_000;
const LAST_MS = 30_000;

/** Asks for cameras and goes on asking; `changed` is called with all that are there. */
export function browse(
  place: Place,
  changed: (cameras: readonly Camera[]) => void,
  failed: (error: Error) => void,
): void {
  const browser = onLink(place, failed).find({ type: TYPE });
  const tell = (): void =>
    changed(browser.services.map((service) => cameraOf(service, place)).filter((camera) => camera !== undefined));
  for (const event of ['up', 'down', 'srv-update', 'txt-update']) browser.on(event, tell);
  const again = (afterMs: number): void => {
    setTimeout(() => {
      browser.update();
      browser.expire();
      again(Math.min(2 * afterMs, LAST_MS));
    }, afterMs);
  };
  again(FIRST_MS);
}
