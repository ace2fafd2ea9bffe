/** JSON with an error that says where, and never quotes the text: the text may be a password. */

export class JsonError extends Error {}

/**
 * V8 tells the place of some errors and quotes the source around others. The place is found here instead: it is the end of
 * the longest prefix that fails only because it is a prefix.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const offset = badOffset(text);
    const before = text.slice(0, offset).split('\n');
    const column = (before.at(-1) as string).length + 1;
    throw new JsonError(`not JSON at line ${before.length}, column ${column}: ${whatIsThere(text, offset)}`);
  }
}

function whatIsThere(text: string, offset: number): string {
  if (text.trim() === '') return 'it is empty';
  if (offset >= text.length) return 'it ends too early';
  return text[offset] === '\ufeff' ? 'a byte order mark, save it without one' : 'a character that cannot stand there';
}

function badOffset(text: string): number {
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (mayGoOn(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

/** Whether some text after this prefix could make it JSON, as far as V8's errors tell. */
function mayGoOn(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return true;
  } catch (error) {
    const message = (error as Error).message;
    if (message.includes('end of JSON input') || message.includes('Unterminated')) return true;
    const at = / at position (\d+)/.exec(message)?.[1];
    return at !== undefined && Number(at) >= prefix.length;
  }
}
