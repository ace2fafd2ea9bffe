import { expect } from 'chai';
import { PatientOutput, WAITING_MAX_BYTES } from './output.ts';

const failing = (code: string): never => {
  throw Object.assign(new Error(code), { code });
};

/** A reader with room for so many bytes. */
function reader(room: number) {
  const got: Buffer[] = [];
  const state = { room, broken: undefined as string | undefined };
  const output = new PatientOutput((bytes) => {
    if (state.broken !== undefined) failing(state.broken);
    if (state.room === 0) failing('EAGAIN');
    const taken = bytes.subarray(0, state.room);
    state.room -= taken.length;
    got.push(Buffer.from(taken));
    return taken.length;
  });
  return { output, state, text: () => Buffer.concat(got).toString() };
}

describe('the log on standard output', () => {
  it('goes on where a slow reader stopped, in order and in whole lines', () => {
    const { output, state, text } = reader(7);
    for (const line of ['first\n', 'second\n', 'third\n']) output.write(line);
    expect(text()).to.equal('first\ns');
    state.room = 100;
    output.flush();
    expect(text()).to.equal('first\nsecond\nthird\n');
  });

  it('keeps a bounded part for a reader that is held, and says how much is missing', () => {
    const { output, state, text } = reader(0);
    const line = `${'x'.repeat(999)}\n`;
    const kept = Math.floor(WAITING_MAX_BYTES / line.length);
    for (let i = 0; i < kept + 5; i++) output.write(line);
    state.room = Number.POSITIVE_INFINITY;
    output.flush();
    expect(text()).to.equal(line.repeat(kept));
    output.write('again\n');
    expect(text().slice(kept * line.length)).to.equal(
      'evio: lines of the log missing here, since they could not be written: 5\nagain\n',
    );
  });

  for (const code of ['EPIPE', 'EIO', 'ENOSPC'])
    it(`outlives ${code}`, () => {
      const { output, state, text } = reader(1_000);
      state.broken = code;
      output.write('nobody hears this\n');
      state.broken = undefined;
      output.write('again\n');
      expect(text()).to.equal('evio: lines of the log missing here, since they could not be written: 1\nagain\n');
    });
});
