/** Whether a directory can be written, without writing. */
import { accessSync, constants, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** The system's code when it cannot: `ENOSPC` for a disk without room, `EROFS` for a read-only one. One that is not there yet is judged by what is above it. */
export function placeProblem(dir: string): string | undefined {
  try {
    accessSync(dir, constants.W_OK);
    return statfsSync(dir).bavail === 0 ? 'ENOSPC' : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(dir) !== dir) return placeProblem(dirname(dir));
    return code ?? 'EIO';
  }
}
