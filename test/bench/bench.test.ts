import { expect } from 'chai';
import { Recorder } from './bench.ts';

describe('bench: rounds', () => {
  it('take every variant once, then every variant again', async () => {
    const recorder = new Recorder(() => undefined);
    const order: string[] = [];
    const variant = (name: string, value: number) => ({
      name,
      measure: async (round: number) => {
        order.push(`${name}${round}`);
        return { tcp1: value * round };
      },
    });
    await recorder.rounds(2, [variant('a', 10), variant('b', 20)]);
    expect(order).to.deep.equal(['a1', 'b1', 'a2', 'b2']);
    expect(recorder.samples.map(({ value }) => value)).to.deep.equal([10, 20, 20, 40]);
    expect(recorder.loads.map(({ round }) => round)).to.deep.equal([1, 2]);
  });

  it('go on when one variant cannot be measured, and say so once', async () => {
    const recorder = new Recorder(() => undefined);
    const broken = async () => {
      throw new Error('no route\nto host');
    };
    await recorder.rounds(3, [
      { name: 'a', measure: broken },
      { name: 'b', measure: async () => ({ tcp1: 1 }) },
    ]);
    expect([...recorder.failures]).to.deep.equal(['a: no route to host']);
    expect(recorder.samples).to.have.length(3);
  });
});
