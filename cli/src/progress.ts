/** One line on standard error that says what takes so long: after a second, and to people only. */

const AFTER_MS = 1_000;
const CLEAR = '\r\u001b[K';

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #text = '';
  #shown = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    if (!stream.isTTY) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#shown = true;
      this.#write();
    }, AFTER_MS);
  }

  /** What is done now. */
  tell(text: string): void {
    this.#text = text;
    if (this.#shown) this.#write();
  }

  /** Nothing of it is left on the terminal. */
  end(): void {
    clearTimeout(this.#timer);
    if (this.#shown) this.#stream.write(CLEAR);
    this.#shown = false;
  }

  #write(): void {
    this.#stream.write(`${CLEAR}${this.#text.slice(0, Math.max(0, (this.#stream.columns ?? 80) - 1))}`);
  }
}
