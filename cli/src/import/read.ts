/** From the path of an old configuration, or `-`, to what is imported from it. */

import { resolve } from 'node:path';
import { FILE_MAX_BYTES, FileError, readConfigFile } from '../../../agent/src/config/files.ts';
import { JsonError, parseJson } from '../../../agent/src/config/json.ts';
import { ConfigError } from '../../../agent/src/config/problems.ts';
import { STANDARD_INPUT } from '../usage.ts';
import { ImportError, type Imported, importOriginal } from './convert.ts';

/** Throws ConfigError. `overlay` was given with `option`. */
export async function readOriginal(path: string, overlay: string | undefined, option: string): Promise<Imported> {
  const standard = path === '-' || path === STANDARD_INPUT;
  const file = standard ? 'standard input' : resolve(path);
  try {
    const text = standard ? await standardInput() : readConfigFile(file).text;
    return importOriginal(parseJson(text), overlay, option);
  } catch (error) {
    if (error instanceof FileError) throw new ConfigError(file, [error.short]);
    if (error instanceof JsonError) throw new ConfigError(file, [error.message]);
    if (error instanceof ImportError) throw new ConfigError(file, error.problems);
    throw error;
  }
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > FILE_MAX_BYTES) {
      const why = `it is larger than ${FILE_MAX_BYTES} bytes`;
      throw new FileError(why, why);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
