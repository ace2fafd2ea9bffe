/** What people do with the map: by keyboard, by mouse, by finger, in the tables, and over a time in which things happen. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { Report } from '../demo/report.ts';
import type { Cluster } from './cluster.ts';

const TABS_MAX = 30;

const names = (page: Page): Promise<string[]> =>
  page.locator('#ring [role=option]').evaluateAll((all) => all.map((one) => one.getAttribute('data-name') ?? ''));
const focused = (page: Page): Promise<string> => page.evaluate("document.activeElement?.dataset.name ?? ''");
const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).first().textContent()) ?? '';
const heading = (page: Page): Promise<string> => textOf(page, '#chosen-heading');

/** The text of an element once it is as wanted, or what it is after a while. */
async function becomes(page: Page, selector: string, wanted: RegExp, withinMs = 10_000): Promise<string> {
  const end = performance.now() + withinMs;
  for (;;) {
    const text = (await page.locator(selector).textContent()) ?? '';
    if (wanted.test(text) || performance.now() > end) return text;
    await sleep(100);
  }
}

export async function keyboard(report: Report, page: Page, name: string): Promise<void> {
  const ring = await names(page);
  const [first = ''] = ring;
  let tabs = 0;
  while ((await focused(page)) === '' && tabs++ < TABS_MAX) await page.keyboard.press('Tab');
  report.holds(`${name}: Tab reaches the ring`, (await focused(page)) === first, await focused(page), first);
  const after = async (key: string, index: number): Promise<void> => {
    await page.keyboard.press(key);
    const at = await focused(page);
    report.holds(`${name}: ${key} walks along the ring`, at === ring.at(index), at, ring.at(index));
  };
  await after('ArrowRight', 1);
  await after('ArrowDown', 2);
  await after('ArrowLeft', 1);
  await after('End', -1);
  await after('ArrowRight', 0);
  await after('PageDown', Math.round(ring.length / 12));
  await sleep(100);
  const at = await focused(page);
  const shown = await page.evaluate<boolean>(`(() => {
    const halo = document.querySelector('#ring .halo')?.getBoundingClientRect();
    const node = document.activeElement.getBoundingClientRect();
    const width = Number(document.querySelector('#ring .halo')?.getAttribute('stroke-width'));
    const near = halo && Math.abs(halo.x + halo.width / 2 - node.x - node.width / 2) < 3;
    return Boolean(near) && halo.width > node.width && width >= 2;
  })()`);
  report.holds(`${name}: the focus is seen`, shown);
  await page.keyboard.press('Enter');
  report.holds(`${name}: Enter chooses a node`, (await heading(page)) === at, await heading(page), at);
  const selected = await page.locator('#ring').getByRole('option', { selected: true }).count();
  report.holds(`${name}: and it is told as selected`, selected === 1, selected, '1');
  const option = page
    .getByRole('listbox', { name: 'Nodes in ring order' })
    .getByRole('option', { name: new RegExp(`^${at}, `) });
  const label = (await option.getAttribute('aria-label')) ?? '';
  report.holds(`${name}: a node says state, NAT and tunnels`, /, (not )?ready.*NAT .*tunnels/.test(label), label);
  for (let i = 0; i < 17; i++) await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Space');
  const way = await becomes(page, '#chosen-body', /there and back|hop|tunnel of their own/);
  report.holds(`${name}: a second node shows the way`, /From .* to /.test(way) && /→/.test(way), way.slice(0, 80));
  await page.keyboard.press('Escape');
  report.holds(`${name}: Escape lets go`, (await heading(page)) === 'Nothing is chosen', await heading(page));
  await page.keyboard.press('/');
  await page.keyboard.type(ring[5] ?? '');
  await page.keyboard.press('Enter');
  report.holds(`${name}: a name finds its node`, (await focused(page)) === ring[5], await focused(page), ring[5]);
  await page.keyboard.press('Escape');
}

/** The middle of a node on the screen. */
async function spot(page: Page, name: string): Promise<{ readonly x: number; readonly y: number }> {
  const box = await page.locator(`#ring [data-name="${name}"]`).boundingBox();
  if (box === null) throw new Error(`${name} is not on the screen`);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

export async function pointer(report: Report, page: Page, name: string): Promise<void> {
  const ring = await names(page);
  const [from = '', to = ''] = [ring[3], ring[22]];
  await page.locator('#ring').scrollIntoViewIfNeeded();
  for (const one of [from, to]) {
    const { x, y } = await spot(page, one);
    await page.mouse.click(x + 4, y);
  }
  const way = await becomes(page, '#chosen-body', /→/);
  report.holds(
    `${name}: two clicks show the way`,
    way.includes(`From ${from} to ${to}`) && way.includes('→'),
    way.slice(0, 90),
  );
  const { x, y } = await spot(page, from);
  await page.mouse.move(x, y);
  await page.mouse.wheel(0, -400);
  await sleep(200);
  const now = await spot(page, from);
  report.holds(
    `${name}: the wheel zooms about the pointer`,
    Math.hypot(now.x - x, now.y - y) < 12 && (await page.locator('#stage[data-zoomed]').count()) === 1,
  );
  await page.locator('#whole').click();
}

/** Two nodes are chosen: a click, and the key of whoever stands on the button, run a trace. */
export async function traces(report: Report, page: Page): Promise<void> {
  const shown = await page.evaluate<string>('location.hash');
  report.holds('traces: the key leaves the address', shown === '', shown, '');
  await pointer(report, page, 'traces');
  const button = page.getByRole('button', { name: 'Run a trace' });
  await button.click();
  const arrived = await becomes(page, '#chosen-body', /at \S+: all were answered/);
  report.holds('traces: a click runs one', /Trace *Arrived/.test(arrived), arrived.slice(0, 400));
  const rows = await page.getByRole('region', { name: 'Steps of the trace' }).locator('tbody tr').count();
  report.holds('traces: each step has a row', rows === 2, rows, '2');
  await page.getByRole('button', { name: 'Other way round' }).click();
  await becomes(page, '#chosen-body', /→/);
  await button.focus();
  await page.keyboard.press('Enter');
  const why = await becomes(page, '#chosen-body', /No trace/);
  report.holds('traces: why there is none is said', why.includes('No trace: it is away'), why.slice(0, 300));
  const held = await page.evaluate<string>("document.activeElement?.textContent ?? ''");
  report.holds('traces: the keyboard stays where it was', held === 'Run a trace', held);
}

export async function touch(report: Report, page: Page, name: string): Promise<void> {
  const ring = await names(page);
  const [from = '', to = ''] = [ring[8], ring[30]];
  await page.locator('#ring').scrollIntoViewIfNeeded();
  for (const one of [from, to]) {
    const { x, y } = await spot(page, one);
    await page.touchscreen.tap(x, y);
  }
  const way = await becomes(page, '#chosen-body', /→/);
  report.holds(
    `${name}: two taps show the way`,
    way.includes(`From ${from} to ${to}`) && way.includes('→'),
    way.slice(0, 90),
  );
}

export async function tables(report: Report, page: Page, nodes: number): Promise<void> {
  // While nothing changes any more, what is in the table stays.
  await page.locator('#of-nodes').click();
  const rows = page.locator('#table-scroll tbody tr');
  for (let i = 0; i < 100 && (await rows.count()) < nodes; i++) await sleep(50);
  report.holds('the table has every node', (await rows.count()) === nodes, await rows.count(), String(nodes));
  const heads = await page.locator('#table-scroll').getByRole('columnheader').allTextContents();
  report.holds('its columns have names', heads.length === 9 && heads.every((head) => head !== ''), heads.join(', '));
  await page.getByRole('button', { name: 'Node', exact: true }).click();
  const sorted = await textOf(page, 'th[aria-sort=ascending]');
  const first = await textOf(page, '#table-scroll tbody th');
  report.holds(
    'a column sorts, and says so',
    sorted.startsWith('Node') && first === 'cloud-001',
    `${sorted}, ${first}`,
  );
  await page.locator('#rows-with').fill('edge-007');
  await sleep(400);
  report.holds('a word finds its rows', /^\d+ of/.test(await textOf(page, '#rows')), await textOf(page, '#rows'));
  await page.locator('#rows-with').fill('');
  await page.locator('#of-tunnels').click();
  await sleep(500);
  const worst = await textOf(page, '#table-scroll tbody tr');
  report.holds('tunnels have what is wrong first', /Down|Via/.test(worst), worst.replace(/\s+/g, ' '));
}

export async function live(report: Report, page: Page, cluster: Cluster): Promise<void> {
  const ring = await names(page);
  const ill = ring[100 % ring.length] ?? '';
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await sleep(7_000);
  // Whatever it was in the stream, it is well before it falls ill.
  await cluster.well(ill);
  await sleep(2_500);
  const began = performance.now();
  await cluster.ill(ill);
  const seen = await becomes(page, '#events', new RegExp(`${ill} is not ready`));
  report.holds('an event is listed', seen.includes(`${ill} is not ready`), seen.slice(0, 80));
  report.atMost('from the API server to the page', performance.now() - began, 3_000, 'ms');
  const moving = await page.evaluate<string>(`(() => {
    const ping = document.querySelector('.ping');
    return ping === null ? 'there is no ping' : getComputedStyle(ping).animationName;
  })()`);
  report.holds('nothing moves for who wants no motion', moving === 'none', moving, 'none');
  const said = await becomes(page, '#said', new RegExp(ill));
  report.holds('a screen reader is told of it', said.includes(`${ill} is not ready`), said.slice(0, 80));
  const look = await page.locator(`#ring [data-name="${ill}"]`).getAttribute('data-look');
  report.holds('and it is seen on the ring', look === 'not-ready', look ?? '');
  cluster.away();
  const away = await becomes(page, '#link-text', /No answer/);
  report.holds('a map that gets no answer says that it is old', /old/.test(away), away);
  await cluster.serve();
  const back = await becomes(page, '#link-text', /Live/, 20_000);
  report.holds('and comes back by itself', back === 'Live', back);
  await cluster.well(ill);
  const well = await becomes(page, '#events', new RegExp(`${ill} is ready`));
  report.holds('with the events of the new one', well.includes(`${ill} is ready`), well.slice(0, 80));
}
