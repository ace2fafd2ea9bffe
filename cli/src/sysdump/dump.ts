/** One archive of a node for a report of a fault; secrets are taken out, and what was taken out is listed. */
import { gzipSync } from 'node:zlib';
import { gather } from './gather.ts';
import { type Redaction, Redactor } from './redact.ts';
import { type Entry, tar } from './tar.ts';

export interface Dump {
  readonly archive: Buffer;
  readonly files: readonly string[];
  readonly redactions: readonly Redaction[];
  readonly missing: readonly string[];
}

/** `folder`: what the archive unpacks to. `wallMs`: milliseconds since 1970. */
export async function dump(
  where: { readonly runDir: string; readonly file: string | undefined },
  folder: string,
  wallMs: number,
  tell: (text: string) => void,
): Promise<Dump> {
  const { files, secrets, missing } = await gather(where.runDir, where.file, tell);
  const redactor = new Redactor(secrets);
  const entries: Entry[] = [...files].map(([name, text]) => ({
    name: `${folder}/${name}`,
    content: Buffer.from(redactor.text(name, text)),
  }));
  // Secrets of the node file are taken out by their keys before they come here.
  const redactions = [
    ...(files.has('config/node.json')
      ? secrets.map(({ name }) => ({ file: 'config/node.json', what: name, times: 1 }))
      : []),
    ...redactor.redactions,
  ];
  const about = redactions
    .map(({ file, what, times }) => `${file}: ${what}${times === 1 ? '' : `, ${times} times`}\n`)
    .join('');
  entries.push(
    { name: `${folder}/REDACTED.txt`, content: Buffer.from(about || 'nothing had to be taken out\n') },
    {
      name: `${folder}/MISSING.txt`,
      content: Buffer.from(missing.map((line) => `${line}\n`).join('') || 'nothing is missing\n'),
    },
  );
  return {
    archive: gzipSync(tar(entries, Math.floor(wallMs / 1000))),
    files: entries.map(({ name }) => name),
    redactions,
    missing,
  };
}
