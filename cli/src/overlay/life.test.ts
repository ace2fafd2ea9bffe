import { expect } from 'chai';
import { UsageError } from '../failure.ts';
import { lifeSeconds } from './life.ts';

describe('the life of a certificate', () => {
  it('is a year, or so many days, or so many seconds, minutes, hours or days', () => {
    expect(lifeSeconds(undefined, undefined)).to.equal(365 * 86_400);
    expect(lifeSeconds(30, undefined)).to.equal(30 * 86_400);
    expect(['60s', '30m', '12h', '3650d'].map((valid) => lifeSeconds(undefined, valid))).to.deep.equal([
      60,
      1_800,
      43_200,
      3_650 * 86_400,
    ]);
  });

  it('is refused where it makes no sense, and the line says what does', () => {
    for (const valid of ['', '59s', '3651d', '1.5h', '-90s', '90', '90 s', '1y', '99999999999s'])
      expect(() => lifeSeconds(undefined, valid), valid).to.throw(UsageError, '--valid');
    for (const days of [0, -1, 1.5, 3651, Number.NaN])
      expect(() => lifeSeconds(days, undefined), String(days)).to.throw(UsageError, '--days');
    expect(() => lifeSeconds(1, '1d')).to.throw(UsageError, 'not both');
  });
});
