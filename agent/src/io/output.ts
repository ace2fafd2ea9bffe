/**
 * Where the log goes: standard output, in a way that never holds the agent and never ends it. Node.js waits for a terminal that is
 * held (Ctrl-S), keeps everything in memory for a pipe nobody reads, and ends a program whose reader has left.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';

/** What waits for a slow reader at most; lines beyond it are counted and left out. */
export const WAITING_MAX_BYTES = 256 * 1024;
const RETRY_MS = 100;

/** Takes bytes and gives how many it took; throws EAGAIN when it takes none now, anything else when it is broken. */
export type Write = (bytes: Buffer) => number;

/** Whole lines, in order, bounded; what could not be written is said where it is missing, once writing works again. */
export class PatientOutput extends Writable {
  readonly #write: Write;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(write: Write) {
    super({ decodeStrings: true });
    this.#write = write;
  }

  override _write(line: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#take(line);
    // It is taken or given up: the program never waits for it.
    done();
  }

  #take(line: Buffer): void {
    if (this.#waitingBytes + line.length > WAITING_MAX_BYTES) this.#lost++;
    else {
      this.#tellLost();
      this.#keep(line);
    }
    this.flush();
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#keep(Buffer.from(`evio: lines of the log missing here, since they could not be written: ${this.#lost}\n`));
    this.#lost = 0;
  }

  #keep(line: Buffer): void {
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
  }

  /** Writes what can be written now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let line = this.#waiting[0]; line !== undefined; line = this.#waiting[0]) {
      let taken: number;
      try {
        taken = this.#write(line);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
          this.#timer = setTimeout(() => this.flush(), RETRY_MS);
          this.#timer.unref();
          return;
        }
        // The reader has left, the terminal is closed, the disk is full: the next line may fare better.
        this.#lost++;
        taken = line.length;
      }
      this.#waitingBytes -= taken;
      if (taken === line.length) this.#waiting.shift();
      else this.#waiting[0] = line.subarray(taken);
    }
  }
}

/** Standard output, opened so that writing never waits. */
export function standardOutput(): PatientOutput {
  const fd = openPatiently();
  const output = new PatientOutput((bytes) => writeSync(fd, bytes));
  // The last words of a program that ends.
  process.on('exit', () => output.flush());
  return output;
}

function openPatiently(): number {
  const kind = fstatSync(1);
  if (kind.isFIFO() || kind.isCharacterDevice()) {
    try {
      // A description of our own: O_NONBLOCK on the shared one would surprise the shell, or whoever else writes there.
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
    } catch {
      return 1;
    }
  }
  // The journal's socket cannot be opened again: asking for it makes Node.js set it so that it does not wait.
  if (kind.isSocket()) void process.stdout;
  return 1;
}
