/**
 * The kubelet's `--node-ip`, so that the control plane reaches the node by its overlay address, and the label by which a cluster's
 * DaemonSets leave a machine alone that runs its own agent: in the file that kubeadm's unit reads, and in k3s's. What stands there stays, and is as it was once this is taken out again.
 */

import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readIfThere, writeAtomic } from '../../../agent/src/io/atomic-file.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { Failure } from '../failure.ts';

export const KUBELETS = ['kubeadm', 'k3s'] as const;
export type Kubelet = (typeof KUBELETS)[number];

/** As operator/src/names.ts has it. A kubelet gives it to its Node when it registers; several --node-labels add up. */
export const HOST_LABEL = 'evio.io/host-package=true';
const LABEL = `--node-labels=${HOST_LABEL}`;

const BEGIN = '# Written by "evio join"; "evio leave" takes it out again.';
const END = '# End of what "evio join" wrote.';

const FILES: Readonly<Record<Kubelet, string>> = {
  kubeadm: '/etc/default/kubelet',
  k3s: '/etc/rancher/k3s/config.yaml.d/evio.yaml',
};
/** What is there where this kind of kubelet is, or is going to be. */
const SIGNS: Readonly<Record<Kubelet, readonly string[]>> = {
  kubeadm: [
    '/etc/default/kubelet',
    '/usr/bin/kubelet',
    '/usr/lib/systemd/system/kubelet.service',
    '/lib/systemd/system/kubelet.service',
    '/etc/systemd/system/kubelet.service.d',
  ],
  k3s: [
    '/etc/rancher/k3s',
    '/usr/local/bin/k3s',
    '/etc/systemd/system/k3s.service',
    '/etc/systemd/system/k3s-agent.service',
  ],
};

/** `root`: for tests. */
export const kubeletsHere = (root = ''): readonly Kubelet[] =>
  KUBELETS.filter((kind) => SIGNS[kind].some((path) => existsSync(root + path)));

// ---- texts ---------------------------------------------------------------------------------------------------------

/**
 * Of the file of kubeadm's unit, an EnvironmentFile (systemd.exec(5)): the last assignment counts, so ours comes last and repeats what
 * the one before it says. Throws RangeError where that cannot be repeated.
 */
export function withNodeIp(text: string, addresses: readonly string[]): string {
  const others = withoutNodeIp(text) ?? text;
  const before = lastArguments(others)
    .split(/\s+/)
    .filter((word) => word !== '' && word !== LABEL && !word.startsWith('--node-ip='));
  const line = `KUBELET_EXTRA_ARGS=${quoted([...before, `--node-ip=${addresses.join(',')}`, LABEL].join(' '))}`;
  const newline = others === '' || others.endsWith('\n') ? '' : '\n';
  return `${others}${newline}${BEGIN}\n${line}\n${END}\n`;
}

/** Undefined: nothing of ours is in it. */
export function withoutNodeIp(text: string): string | undefined {
  const start = text.indexOf(`${BEGIN}\n`);
  if (start < 0) return undefined;
  const end = text.indexOf(`${END}\n`, start);
  // A hand has been in it: what follows our first line and is not ours stays.
  const rest = end < 0 ? text.slice(start + BEGIN.length + 1) : text.slice(end + END.length + 1);
  return text.slice(0, start) + rest;
}

/** What KUBELET_EXTRA_ARGS says, without the quotes of the file. */
function lastArguments(text: string): string {
  let found = '';
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    const [, value] = /^\s*KUBELET_EXTRA_ARGS=(.*)$/.exec(line) ?? [];
    if (value !== undefined) found = unquoted(value.trim());
  }
  return found;
}

function unquoted(value: string): string {
  const [, quote = '', inside = ''] = /^(["'])(.*)\1$/.exec(value) ?? [];
  const words = quote === '' ? value : inside;
  const odd = quote === "'" ? /'/ : quote === '"' ? /["\\]/ : /["'\\]/;
  if (odd.test(words)) throw new RangeError('KUBELET_EXTRA_ARGS has quotes within quotes');
  return words;
}

function quoted(words: string): string {
  if (!/["\\`$]/.test(words)) return `"${words}"`;
  if (!words.includes("'")) return `'${words}'`;
  throw new RangeError('KUBELET_EXTRA_ARGS has quotes of both kinds');
}

/** k3s merges the files of this folder into its configuration; a "+" adds to the labels that others name. */
export const k3sText = (addresses: readonly string[]): string =>
  `${BEGIN}\nnode-ip: "${addresses.join(',')}"\nnode-label+:\n  - "${HOST_LABEL}"\n`;

/**
 * What to say where a kubelet would call its Node otherwise than the overlay calls the machine: a kubelet takes the whole host name
 * (lower-case), a member's name has no dots. In a cluster the Node takes over the EvioNode of its own name. Undefined: they are the same.
 */
export function nameHint(name: string, host: string): string | undefined {
  const own = host.trim().toLowerCase();
  if (own === name) return undefined;
  return `the kubelet would call this machine ${own}: give it the name ${name} (kubeadm join --node-name ${name}, k3s agent --node-name ${name}), or in a cluster its Node is another node of the overlay`;
}

// ---- files ---------------------------------------------------------------------------------------------------------

/** Gives the file that was written. */
export function writeNodeIp(kind: Kubelet, addresses: readonly string[], root = ''): string {
  const path = root + FILES[kind];
  try {
    const text = kind === 'k3s' ? k3sText(addresses) : withNodeIp(readIfThere(path) ?? '', addresses);
    mkdirSync(dirname(path), { recursive: true });
    writeAtomic(path, text, kind === 'k3s' ? 0o600 : 0o644);
    return path;
  } catch (error) {
    if (error instanceof RangeError)
      throw new Failure(`${path}: ${error.message}; add --node-ip=${addresses.join(',')} ${LABEL} to it by hand`);
    throw new Failure(`cannot write ${path}: ${systemReason(error)}`);
  }
}

/** Gives the files that are changed or gone. */
export function removeNodeIp(root = ''): readonly string[] {
  const changed: string[] = [];
  for (const kind of KUBELETS) {
    const path = root + FILES[kind];
    try {
      const text = readIfThere(path);
      const rest = text === undefined ? undefined : withoutNodeIp(text);
      if (rest === undefined) continue;
      if (kind === 'k3s' || rest === '') rmSync(path);
      else writeAtomic(path, rest, 0o644);
      if (kind === 'k3s') removeIfEmpty(join(path, '..'));
      changed.push(path);
    } catch (error) {
      throw new Failure(`cannot take --node-ip out of ${path}: ${systemReason(error)}`);
    }
  }
  return changed;
}

function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Others have files in it.
  }
}
