// Measures how soon a click is painted on the page of a job with this file: from the moment the browser receives the
// click or key until a picture that shows its effect is on the screen.
//
//   node bench/paint.mjs FILE
//
// A command shows its effect at once. Rows come from the server.

import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { chromium } from 'playwright';

const web = process.env.BATCHLINE_URL ?? 'http://127.0.0.1:3000';
const api = process.env.BATCHLINE_API_URL ?? 'http://127.0.0.1:8000';
const [path] = process.argv.slice(2);
const ROUNDS = 10;

async function call(path, init) {
  const response = await fetch(`${api}${path}`, init);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const user = await call('/users', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'Ann', email: `ann-${Date.now()}@example.com` }),
});
const form = new FormData();
form.append('file', await openAsBlob(path, { type: 'text/csv' }), basename(path));
const job = await call(`/jobs?user_id=${user.id}`, { method: 'POST', body: form });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH,
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
page.setDefaultTimeout(60_000);

// Runs in the page. Looks for the text of an element.
function watch({ event, selector, text }) {
  const pattern = new RegExp(text);
  let from;
  addEventListener(event, ({ timeStamp }) => (from ??= timeStamp), { capture: true, once: true });
  const isThere = () => pattern.test(document.querySelector(selector)?.textContent ?? '');
  if (isThere()) throw new Error(`${text} is there already`);
  window.painted = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (from === undefined || !isThere()) return;
      observer.disconnect();
      requestAnimationFrame(() => {
        // The first task after the picture.
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve(performance.now() - from);
        port2.postMessage(null);
      });
    });
    observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  });
}

const taken = new Map();
async function measure(name, { event = 'click', selector, text }, act) {
  await page.evaluate(watch, { event, selector, text: text.source });
  await act();
  const milliseconds = await page.evaluate(() => window.painted);
  taken.set(name, [...(taken.get(name) ?? []), milliseconds]);
}

const settled = (name) => page.getByRole('button', { name, exact: true }).and(page.locator(':enabled')).waitFor();
const command = (name, text) =>
  measure(`command: ${name}`, { selector: '.page-head', text }, () =>
    page.getByRole('button', { name, exact: true }).click(),
  );

await page.goto(`${web}/jobs/${job.id}`);
await page.getByRole('button', { name: 'Shortcuts' }).waitFor();
await command('Start processing', /Processing/);
for (let round = 0; round < ROUNDS; round++) {
  await settled('Pause');
  await command('Pause', /Paused/);
  await settled('Resume');
  await page.getByRole('button', { name: 'Cancel…' }).click();
  await measure('command: Cancel', { selector: '.page-head', text: /Cancelled/ }, () =>
    page.getByRole('dialog').getByRole('button', { name: 'Cancel job' }).click(),
  );
  await settled('Retry');
  await command('Retry', /Processing/);
  await settled('Pause');
  await command('Pause', /Paused/);
  await settled('Resume');
  await command('Resume', /Processing/);
}
await page.locator('.page-head').getByText('Completed', { exact: true }).waitFor();

const rows = (name, event, text, act) => measure(name, { event, selector: '#rows-page', text }, act);
const link = (name) => () => page.locator('section.rows').getByRole('link', { name }).first().click();
await page.goto(`${web}/jobs/${job.id}?filter=all`);
await page.getByRole('button', { name: 'Shortcuts' }).waitFor();
for (let round = 0; round < ROUNDS; round++) {
  await rows('filter: invalid', 'click', /1–20 of 500,000 rows/, link(/^Invalid/));
  await rows('paging: next', 'click', /21–40 of 500,000/, link('Next'));
  await rows('paging: last', 'click', /499,981–500,000 of/, link('Last'));
  await rows('paging: previous', 'click', /499,961–499,980 of/, link('Previous'));
  await rows('filter: suspicious', 'click', /1–20 of 100,000 rows/, link(/^Suspicious/));
  await rows('filter: all', 'click', /1–20 of 10,000,000 rows/, link(/^All/));
  await rows('rows per page: 100', 'change', /1–100 of 10,000,000/, () =>
    page.getByRole('combobox', { name: 'Rows per page' }).selectOption('100 rows'),
  );
  await rows('go to row', 'keydown', /,\d01–[\d,]+00 of 10,000,000/, async () => {
    await page.getByRole('spinbutton', { name: 'Row number' }).fill(String(7_654_321 + round * 1000));
    await page.keyboard.press('Enter');
  });
  await rows('search: an id', 'keydown', /1–1 of 1 row/, async () => {
    await page.getByRole('searchbox').fill(`TXN0${1234567 + round * 1000}`);
    await page.keyboard.press('Enter');
  });
  await page.goto(`${web}/jobs/${job.id}?filter=all`);
  await page.getByRole('button', { name: 'Shortcuts' }).waitFor();
}
await browser.close();

console.log('from click to paint     median  slowest');
for (const [name, all] of taken) {
  all.sort((a, b) => a - b);
  const shown = [all[all.length >> 1], all.at(-1)].map((time) => `${Math.round(time)} ms`.padStart(7));
  console.log(name.padEnd(22), shown.join('  '));
}
