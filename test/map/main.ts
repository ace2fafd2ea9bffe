/**
 * `make test-map`: the live map in a real Chromium, of a real API server with 1,000 EvioNodes; results/map.json, and pictures of it
 * beside that.
 *
 *   node test/map/main.ts
 *
 * EVIO_MAP_ONLY=small, traces or large runs one part alone. EVIO_MAP_NODES says how many nodes (1000). EVIO_CHROMIUM names another browser of that family.
 */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { clusterOf } from '../../map/src/testing/cluster.ts';
import { Report, say } from '../demo/report.ts';
import { seeded } from '../sim/random.ts';
import { seriousFaults } from './accessible.ts';
import { openBrowser, type Visit, visit } from './browser.ts';
import { Cluster, smallMap, tracedMap } from './cluster.ts';
import { keyboard, live, pointer, tables, touch, traces } from './uses.ts';

const NODES = Number(process.env.EVIO_MAP_NODES ?? '1000');
const LOADS = 3;
const STREAM_MS = 20_000;
const LOAD_LIMIT_MS = 2_000;
const TASK_LIMIT_MS = 200;
const PICTURES = 'results';

const report = new Report('map', false);
mkdirSync(PICTURES, { recursive: true });
const picture = (of: Visit, name: string) =>
  of.page.screenshot({ path: `${PICTURES}/map-${name}.png`, fullPage: true });

function clean(name: string, { strangers, errors }: Visit): void {
  report.holds(`${name}: no request leaves the origin`, strangers.length === 0, strangers[0] ?? 'none', 'none');
  report.holds(`${name}: no error in the page`, errors.length === 0, errors[0] ?? 'none', 'none');
}

async function large(browser: Browser, cluster: Cluster): Promise<void> {
  const shown: number[] = [];
  const tasks: number[] = [];
  for (let i = 0; i < LOADS; i++) {
    const once = await visit(browser, cluster.url);
    shown.push(once.shownMs);
    await sleep(1_000);
    tasks.push((await once.busy()).longestMs);
    await once.context.close();
  }
  report.details.loadsMs = shown;
  report.atMost(
    `the map of ${NODES} nodes is shown, slowest of ${LOADS} loads`,
    Math.max(...shown),
    LOAD_LIMIT_MS,
    'ms',
  );
  report.atMost('longest task while it loads', Math.max(...tasks), TASK_LIMIT_MS, 'ms');

  const map = await visit(browser, cluster.url);
  const { page } = map;
  const drawn = await page.locator('#ring [role=option]').count();
  report.holds('every node is on the ring', drawn === NODES, drawn, String(NODES));
  await picture(map, 'large');
  await map.busy();
  cluster.stream();
  const steps = await page.evaluate<number>(`new Promise((done) => {
    let steps = 0;
    const source = new EventSource('api/events');
    source.addEventListener('step', () => steps++);
    setTimeout(() => { source.close(); done(steps); }, ${STREAM_MS / 2});
  })`);
  report.atLeast('steps a second while statuses change', steps / (STREAM_MS / 2_000), 0.2, '/s');
  // A person who uses it all the while.
  await page.locator('#ring [role=option][tabindex="0"]').focus();
  const end = performance.now() + STREAM_MS / 2;
  for (let i = 0; performance.now() < end; i++) {
    await page.keyboard.press(i % 25 === 24 ? 'Enter' : 'ArrowRight');
    await sleep(40);
  }
  const walked = await map.busy();
  report.atMost('longest task while updates stream in and somebody walks', walked.longestMs, TASK_LIMIT_MS, 'ms');
  await picture(map, 'large-used');
  await page.keyboard.press('Escape');
  await page.locator('#show-table').click();
  await sleep(6_000);
  const tabled = await map.busy();
  report.atMost('longest task while updates stream into the tables', tabled.longestMs, TASK_LIMIT_MS, 'ms');
  const written = await cluster.calm();
  report.details.streamed = { written, steps, walked, tabled };
  await tables(report, page, NODES);
  await page.locator('#show-map').click();
  await live(report, page, cluster);
  clean('large', map);
  await map.context.close();
}

/** What the page does with traces; the traces themselves are of test/e2e/trace.test.ts. */
async function traced(browser: Browser): Promise<void> {
  const key = 'k'.repeat(32);
  const seen: string[] = [];
  const step = (station: string) => ({ station, step: 'evio0 and the switch', there: '3', back: '3' });
  const served = await tracedMap(clusterOf(40, seeded(9)), key, async (from, to) => {
    seen.push(`${from} ${to}`);
    if (seen.length > 1) throw new Error('it is away');
    return { arrived: true, text: `at ${to}: all were answered`, fix: null, steps: [step(from), step(to)] };
  });
  try {
    const viewport = { width: 1440, height: 900 };
    const url = `http://127.0.0.1:${served.port}/`;
    const map = await visit(browser, `${url}#trace=${key}`, { viewport });
    await traces(report, map.page);
    await picture(map, 'traced');
    await faults('traces', map);
    clean('traces', map);
    await map.context.close();
    const other = await visit(browser, url, { viewport });
    await pointer(report, other.page, 'without a key');
    const buttons = await other.page.getByRole('button', { name: 'Run a trace' }).count();
    report.holds('without a key: no trace is offered', buttons === 0, buttons, '0');
    await other.context.close();
  } finally {
    served.close();
  }
}

async function small(browser: Browser): Promise<void> {
  const served = await smallMap(clusterOf(40, seeded(9), { relayed: 0.15, down: 0.05 }));
  const url = `http://127.0.0.1:${served.port}/`;
  try {
    for (const colorScheme of ['dark', 'light'] as const)
      for (const [size, viewport] of [
        ['desk', { width: 1440, height: 900 }],
        ['phone', { width: 360, height: 740 }],
      ] as const) {
        const name = `${size} ${colorScheme}`;
        const phone = size === 'phone' ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {};
        const map = await visit(browser, url, { colorScheme, viewport, ...phone });
        await picture(map, `${size}-${colorScheme}`);
        await faults(`${name}, ring`, map);
        if (size === 'desk') {
          await keyboard(report, map.page, name);
          await pointer(report, map.page, name);
        } else await touch(report, map.page, name);
        await picture(map, `${size}-${colorScheme}-route`);
        await faults(`${name}, route`, map);
        await map.page.locator('#show-table').click();
        await map.page.locator('#of-tunnels').click();
        await sleep(300);
        await picture(map, `${size}-${colorScheme}-tables`);
        await faults(`${name}, tables`, map);
        const wide = await map.page.evaluate<number>('document.documentElement.scrollWidth');
        report.atMost(`${name}: nothing is wider than the screen`, wide, viewport.width, 'px');
        clean(name, map);
        await map.context.close();
      }
  } finally {
    served.close();
  }
}

async function faults(name: string, { page }: Visit): Promise<void> {
  const found = await seriousFaults(page);
  report.holds(`${name}: axe-core finds nothing serious`, found.length === 0, found.join(' | ') || 'none', 'none');
}

async function part(key: 'small' | 'traces' | 'large', name: string, work: () => Promise<void>): Promise<void> {
  if ((process.env.EVIO_MAP_ONLY ?? key) !== key) return;
  say(`-- ${name}`);
  try {
    await work();
  } catch (error) {
    report.holds(name, false, error instanceof Error ? error.message.split('\n')[0] : String(error));
  }
}

const browser = await openBrowser();
try {
  report.details.browser = browser.version();
  await part('small', 'a cluster of 40', () => small(browser));
  await part('traces', 'traces by a click', () => traced(browser));
  await part('large', `a cluster of ${NODES}`, async () => {
    const cluster = await Cluster.start(clusterOf(NODES, seeded(7), { down: 0.003 }));
    try {
      await large(browser, cluster);
    } finally {
      await cluster.stop();
    }
  });
} finally {
  await browser.close();
}
say(report.save());
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
