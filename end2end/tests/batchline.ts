// The steps that users take in Batchline, for the specs to combine.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import AxeBuilder from '@axe-core/playwright';
import { expect, type ConsoleMessage, type Page } from '@playwright/test';

export const SAMPLE = `transaction_id,amount,date,description
TXN001,150.00,2024-01-15,Monthly subscription
TXN002,75.50,2024-01-16,Service fee
TXN003,-50.00,2024-01-17,Refund
TXN004,1000.00,2024-01-18,Product purchase
`;

// A person that no other test knows.
export function somebody() {
  const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
  return { name: `Ann ${id}`, email: `ann-${id}@example.com` };
}

// Collects the browser's errors from now on, both in its console and uncaught. Someone who leaves a page while it loads
// the module of its form doesn't notice, but the module's loader reports it or panics.
export function complaints(page: Page, counts = (message: ConsoleMessage) => message.type() === 'error') {
  const found: string[] = [];
  page.on('console', (message) => counts(message) && found.push(message.text()));
  page.on('pageerror', (error) => found.push(String(error)));
  return () => {
    const loaded = found.filter((text) => !/^TypeError: Failed to fetch\n[^]*\/split\.js:/.test(text));
    const others = loaded.filter((text) => !text.includes('SplitLoaderError'));
    for (let panics = loaded.length - others.length; panics > 0; panics--) {
      const trap = others.indexOf('RuntimeError: unreachable');
      if (trap >= 0) others.splice(trap, 1);
    }
    return others;
  };
}

// A promise, and what resolves it.
export function signal() {
  let send = () => {};
  const sent = new Promise<void>((resolve) => (send = resolve));
  return { send, sent };
}

// On the page for signing in.
export async function signIn(page: Page, email: string, password: string) {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

// Ends on the new user's page.
export async function createUser(page: Page, user = somebody()) {
  await page.goto('/users');
  await page.getByLabel('Name').fill(user.name);
  await page.getByLabel('Email').fill(user.email);
  await page.getByRole('button', { name: 'Create user' }).click();
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
  return user;
}

// From the user's page; ends on the new job's page.
export async function upload(page: Page, name: string, content: string | Buffer) {
  const buffer = Buffer.from(content);
  // Playwright accepts no larger files from memory.
  const directory = buffer.length > 50_000_000 ? mkdtempSync(join(tmpdir(), 'long-')) : undefined;
  const path = directory && join(directory, name);
  if (path) writeFileSync(path, buffer);
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles(path ?? { name, mimeType: name.endsWith('.png') ? 'image/png' : 'text/csv', buffer });
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page).toHaveURL(/\/jobs\/\d+$/);
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  if (directory) rmSync(directory, { recursive: true });
}

// The jobs of a list, without the header.
export const listed = (page: Page, name: 'Files' | 'Jobs' = 'Files') =>
  page.getByRole('table', { name }).locator('tbody').getByRole('row');

export async function start(page: Page) {
  await page.getByRole('button', { name: 'Start processing' }).click();
}

// The number below its name in the summary of a job's page.
export function count(page: Page, name: string) {
  return page
    .getByRole('region', { name: 'Progress' })
    .locator('dt', { hasText: new RegExp(`^${name}$`) })
    .locator('xpath=following-sibling::dd');
}

export async function expectCounts(page: Page, counts: Record<string, string>) {
  for (const [name, number] of Object.entries(counts)) {
    await expect(count(page, name)).toHaveText(number);
  }
}

// Returns a file whose verdicts are known, and what a job must find in it. `testkit --help` has the options.
export function generated(rows: number, ...options: ('--errors' | '--unsuspicious')[]) {
  const program = process.env.TESTKIT ?? join(__dirname, '../../target/debug/testkit');
  const directory = mkdtempSync(join(tmpdir(), 'generated-'));
  const path = join(directory, 'transactions.csv');
  try {
    const printed = execFileSync(program, [path, '--rows', String(rows), ...options]);
    const counts: { rows: number; valid: number; invalid: number; suspicious: number } = JSON.parse(String(printed));
    return { content: readFileSync(path), counts };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

// Long enough to be seen while it is processed.
let long: ReturnType<typeof generated> | undefined;
export const longFile = () => (long ??= generated(500_000, '--errors'));

// With JavaScript, the page is live and responds without reloading. What is shown doesn't prove it: before the style sheet
// has arrived, hidden elements count as visible.
export const live = (page: Page) => expect(page.locator('html[data-live]')).toBeAttached();

// Has a live page fetch itself again, as when its user returns to it, and waits until it is updated.
export async function refreshed(page: Page) {
  const fetched = page.waitForResponse((response) => {
    const request = response.request();
    return 'x-batchline-parts' in (request.redirectedFrom() ?? request).headers() && response.ok();
  });
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  await (await fetched).finished();
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
}

// Waits for the end of the job: live with JavaScript, otherwise by the page's own reloads.
export async function completed(page: Page, timeout = 120_000) {
  // The status of this job, not of another version of its file.
  await expect(page.locator('.page-head').getByText('Completed', { exact: true })).toBeVisible({ timeout });
  // The rest of a live page follows.
  await expect(page.locator('#times').getByText('Finished', { exact: true })).toBeAttached({ timeout });
}

// By how many pixels the page is wider than the screen.
const overflow = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Includes narrow screens, on which wide content scrolls within its box.
export async function expectFits(page: Page) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 800 });
  expect(await overflow(page), 'wider than the screen').toBeLessThanOrEqual(0);
  if (before) await page.setViewportSize(before);
}

// In both themes, one wide and one narrow. Lists axe's findings by rule and element.
export async function expectAccessible(page: Page, what: string) {
  const before = page.viewportSize();
  for (const [colorScheme, width] of [
    ['light', 1280],
    ['dark', 320],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
    expect(found, `${what}, ${colorScheme}, ${width} pixels wide`).toEqual([]);
    expect(await overflow(page), `${what} at ${width} pixels is wider than the screen`).toBeLessThanOrEqual(0);
  }
  if (before) await page.setViewportSize(before);
}
