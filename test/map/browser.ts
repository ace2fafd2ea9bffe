/** Debian's Chromium, watched: what it asks for, what it says, how long it is busy. */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PROGRAM = process.env.EVIO_CHROMIUM ?? '/usr/bin/chromium';

export async function openBrowser(): Promise<Browser> {
  if (!existsSync(PROGRAM)) throw new Error(`no ${PROGRAM}: run hack/map/setup.sh, or name one in EVIO_CHROMIUM`);
  // Chromium's own sandbox refuses to run as root; the page is ours.
  return chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Requests to anywhere else. */
  readonly strangers: readonly string[];
  /** Errors of the page, and what the policy refused. */
  readonly errors: readonly string[];
  /** Milliseconds from the start of the navigation to the first picture with nodes. */
  readonly shownMs: number;
  /** The longest task since the last time this was asked, in milliseconds, and how many there were of more than 50. */
  busy(): Promise<{ readonly longestMs: number; readonly count: number }>;
}

export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const strangers: string[] = [];
  const errors: string[] = [];
  const { origin } = new URL(url);
  context.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith('data:') && new URL(asked).origin !== origin) strangers.push(asked);
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    // That the server is away is said so by the browser itself.
    if (message.type() === 'error' && !/ERR_CONNECTION|ERR_INCOMPLETE|Failed to load resource/.test(message.text()))
      errors.push(message.text());
  });
  await page.addInitScript(() => {
    const tasks: number[] = [];
    Object.assign(globalThis, { evioTasks: tasks });
    // A kind that browsers know and Node.js, whose types stand here, does not.
    const kind = { type: 'longtask', buffered: true } as object;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    }).observe(kind as { type: 'measure' });
  });
  await page.goto(url);
  const shown = await page.waitForFunction(
    () => performance.getEntriesByName('evio-map-shown')[0]?.startTime,
    undefined,
    {
      timeout: 60_000,
    },
  );
  return {
    page,
    context,
    strangers,
    errors,
    shownMs: (await shown.jsonValue()) ?? Number.NaN,
    busy: async () => {
      const tasks = await page.evaluate<number[]>('evioTasks.splice(0)');
      return { longestMs: Math.max(0, ...tasks), count: tasks.length };
    },
  };
}
