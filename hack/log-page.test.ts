import { expect } from 'chai';
import { LOG_FIELDS } from '../agent/src/log-fields.ts';
import { linesIn, logsPage, tincanLines } from './log-page.ts';

describe('the page of log fields', () => {
  it('reads calls over several lines, and no comma within an argument', () => {
    const source = `log!(Info, "path", peer = label, text = format!("{a}, {b} = {c}"), size = f(1, 2));
      log!(
        Warn,
        "it is \\"gone\\"",
        reason = if a == b { "x" } else { "y" },
      );
      log!($level, "no call");`;
    expect(linesIn(source)).to.deep.equal([
      { level: 'info', message: 'path', fields: ['peer', 'text', 'size'] },
      { level: 'warn', message: 'it is \\"gone\\"', fields: ['reason'] },
    ]);
  });

  it('has every line of tincan, with keys that are all explained', () => {
    expect(tincanLines().map(({ message }) => message)).to.include.members(['configured', 'session', 'panic']);
    for (const field of Object.keys(LOG_FIELDS)) expect(logsPage()).to.contain(`| \`${field}\` | `);
  });
});
