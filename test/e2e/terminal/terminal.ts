/** A person at a terminal: an interactive shell on a real pseudo-terminal, made by script(1), which every Debian has. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { environment, type TermNode, until } from './lan.ts';

export const CTRL_C = '\u0003';
export const CTRL_S = '\u0013';
export const CTRL_Q = '\u0011';

export class Terminal {
  readonly #script: ChildProcessWithoutNullStreams;
  #text = '';

  /** With a prompt that nothing else prints. */
  static async open(node: TermNode): Promise<Terminal> {
    const terminal = new Terminal(node);
    terminal.type("PS1='READY''> '");
    await terminal.until('a prompt', /READY> $/);
    return terminal;
  }

  private constructor(node: TermNode) {
    // script(1) has it started by $SHELL, or by sh where there is none, as under a CI: that gives way to it.
    const shell = 'exec bash --norc --noprofile --noediting -i';
    this.#script = spawn('ip', ['netns', 'exec', node.ns, 'script', '-qefc', shell, '/dev/null'], {
      env: environment(),
    });
    this.#script.stdin.on('error', () => undefined);
    for (const stream of [this.#script.stdout, this.#script.stderr])
      stream.on('data', (data: Buffer) => {
        this.#text += data.toString().replaceAll('\r\n', '\n');
      });
  }

  get text(): string {
    return this.#text;
  }

  press(key: string): void {
    this.#script.stdin.write(key);
  }

  type(line: string): void {
    this.press(`${line}\n`);
  }

  async until(what: string, pattern: RegExp, withinMs = 8_000): Promise<void> {
    await until(what, withinMs, () => pattern.test(this.#text) || undefined).catch((error: Error) => {
      throw new Error(`${error.message}; the terminal shows:\n${this.#text}`);
    });
  }

  /** Runs a command that ends, and gives what it printed. */
  async run(command: string, withinMs?: number): Promise<string> {
    this.#text = '';
    this.type(command);
    return this.rest(withinMs);
  }

  /** What is printed until the shell asks for the next command. */
  async rest(withinMs?: number): Promise<string> {
    await this.until('the next prompt', /READY> $/, withinMs);
    return this.#text.replace(/READY> $/, '');
  }

  /** As the window is closed, or the connection lost: the other end of the terminal is gone. */
  close(): void {
    this.#script.kill('SIGKILL');
  }
}
