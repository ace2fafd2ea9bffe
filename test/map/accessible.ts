/** What axe-core finds wrong with the page for people who see, point or hear differently. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const SOURCE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** One line for each rule that is broken seriously, with an example. */
export async function seriousFaults(page: Page): Promise<readonly string[]> {
  // By the debugger: the page's policy lets no script of others in.
  await page.evaluate(SOURCE);
  const { violations, passes } = await page.evaluate<AxeResults>(
    "axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } })",
  );
  if (passes.length === 0) throw new Error('axe-core looked at nothing');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.length} times, like ${nodes[0]?.html.slice(0, 160)}`);
}
