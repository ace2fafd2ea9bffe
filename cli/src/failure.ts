/** What a command says when it cannot do what it was asked: one line, what failed, with what, and what to do. */

/** Exit code 1: the world is not as the command needs it. */
export class Failure extends Error {
  readonly exitCode: number = 1;
}

/** Exit code 2: the command line or a file given to it is wrong. */
export class UsageError extends Failure {
  override readonly exitCode = 2;
}

/** The words of an unknown error, on one line. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().replace(/\s*\n\s*/g, '; ');
}
