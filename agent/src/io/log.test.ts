import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { LOG_FIELDS } from '../log-fields.ts';
import { Pace } from './log.ts';

describe('the pace of the log', () => {
  it('lets a burst through, then a line a second, and says how many were left out', () => {
    const pace = new Pace();
    const written = Array.from({ length: 10_000 }, () => pace.take(1_000)).filter((omitted) => omitted !== undefined);
    expect(written).to.have.length(150);
    expect(pace.take(3_000)).to.equal(9_850);
    expect(pace.take(3_000)).to.equal(0);
    expect(pace.take(3_000)).to.equal(undefined);
  });
});

describe('the log', () => {
  const written = (format: 'text' | 'json'): string =>
    execFileSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `const { createLog } = await import(${JSON.stringify(new URL('./log.ts', import.meta.url).href)});
         createLog({ level: 'info', format: '${format}' }, { component: 'agent', node: 'pi1', overlay: 'lab' }).warn('gone\\nback');`,
      ],
      { encoding: 'utf8' },
    );

  it('has in a line of JSON the fields that docs/logs.md lists, and no other', () => {
    const line = JSON.parse(written('json'));
    expect(Object.keys(line)).to.have.members(Object.keys(LOG_FIELDS));
    expect(line).to.include({ level: 'warn', component: 'agent', node: 'pi1', overlay: 'lab' });
    expect(line.timestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('is one line of text for each entry, whatever the words', () => {
    expect(written('text')).to.match(/^\S+Z warn gone back\n$/);
  });
});
