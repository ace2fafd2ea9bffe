/** Looks at a host from outside of everything that runs on it. */
import { readFileSync } from 'node:fs';
import { attempt, collect, pidsIn, sleep } from '../demo/shell.ts';

/** Bytes that have come by an interface. */
export async function bytesOf(ns: string, link: string): Promise<number> {
  const { stdout } = await attempt(ns, ['ip', '-s', '-j', 'link', 'show', link]);
  const [found] = JSON.parse(stdout) as { stats64: { rx: { bytes: number } } }[];
  return found?.stats64.rx.bytes ?? 0;
}

/** Bytes of UDP that come from an endpoint (`192.0.2.1:5000`) within a time. */
export async function from(ns: string, link: string, endpoint: string, ms: number): Promise<number> {
  const [host = '', port = ''] = endpoint.split(':');
  const filter = `udp and src host ${host} and src port ${port}`;
  const { child, output } = collect(ns, 'tcpdump', '-n', '-q', '--immediate-mode', '-i', link, filter);
  await sleep(ms);
  child.kill('SIGINT');
  return [...(await output).matchAll(/ UDP, length (\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** Times a text stands in what passes an interface within three seconds. */
export async function sightings(ns: string, link: string, text: string): Promise<number> {
  const { child, output } = collect(ns, 'tcpdump', '-n', '-A', '-s', '0', '-i', link, 'udp or tcp');
  await sleep(3_000);
  child.kill('SIGINT');
  return (await output).split(text).length - 1;
}

/** Effective capabilities of the processes of a program in a namespace, each once. */
export async function capabilitiesOf(ns: string, program: RegExp): Promise<readonly string[]> {
  const found = (await pidsIn(ns))
    .filter((pid) => program.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')))
    .map((pid) => /^CapEff:\s+(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '');
  return [...new Set(found)];
}
