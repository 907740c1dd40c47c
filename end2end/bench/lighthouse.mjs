// Lighthouse's results for every page, on the phone that it simulates (its preset: 4 times slower than this machine,
// 1.6 Mbit/s). Fails if a score is below 100, except for the speed of Swagger UI, or if a page downloads more
// WebAssembly than it may. Lighthouse can't measure pages with an error status.
//
//   node bench/lighthouse.mjs [DIRECTORY-FOR-THE-REPORTS]

import { writeFileSync } from 'node:fs';
import { launch } from 'chrome-launcher';
import lighthouse from 'lighthouse';
import { chromium } from 'playwright';

const web = process.env.BATCHLINE_URL ?? 'http://127.0.0.1:3000';
const api = process.env.BATCHLINE_API_URL ?? 'http://127.0.0.1:8000';
// A server with the same data on which everybody signs in.
const accounts = process.env.BATCHLINE_ACCOUNTS_URL;
const reports = process.argv[2];

const MOST_WASM = Number(process.env.MOST_WASM ?? 200_000);
// The script of Swagger UI is larger than all scripts of Batchline, and keeps a slow phone busy for a while.
const LEAST = { docs: { performance: 50 } };
const CATEGORIES = ['performance', 'accessibility', 'best-practices', 'seo'];

async function call(path, init) {
  const response = await fetch(`${api}${path}`, init);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const rows = Array.from({ length: 200 }, (_, row) =>
  row % 10 === 9 ? `TXN${row},much,2024-13-01,` : `TXN${row},${row - 5}.50,2024-01-15,Service fee`,
);
const FILES = {
  // All kinds of rows.
  completed: ['transaction_id,amount,date,description', ...rows, ''].join('\n'),
  failed: 'id,value\n1,2\n',
  asked: 'transaction_id,amount,date\nA,1,01/02/2024\nB,2,03/04/2024\n',
  pending: 'transaction_id,amount,date\nA,1,2024-01-02\n',
};

async function send(user, name) {
  const form = new FormData();
  form.append('file', new Blob([FILES[name]], { type: 'text/csv' }), `${name}.csv`);
  return call(`/jobs?user_id=${user.id}`, { method: 'POST', body: form });
}

async function start(job, status) {
  await call(`/jobs/${job.id}/start`, { method: 'POST' });
  const deadline = Date.now() + 60_000;
  while ((await call(`/jobs/${job.id}`)).status !== status) {
    if (Date.now() > deadline) throw new Error(`job ${job.id} was not ${status} in time`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// Returns the cookie of a session.
async function signIn() {
  const answer = await fetch(`${accounts}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ email: process.env.ADMIN_EMAIL, password: process.env.ADMIN_PASSWORD }),
  });
  const cookies = answer.headers.getSetCookie().map((cookie) => cookie.split(';')[0]);
  if (!cookies.length) throw new Error(`signing in was answered with ${answer.status}`);
  return cookies.join('; ');
}

const user = await call('/users', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'Ann', email: `ann-${Date.now()}@example.com` }),
});
const jobs = {};
for (const name of Object.keys(FILES)) jobs[name] = await send(user, name);
await start(jobs.completed, 'completed');
await start(jobs.failed, 'failed');
await start(jobs.asked, 'failed');
const pages = [
  ['jobs', '/'],
  ['users', '/users'],
  ['user', `/users/${user.id}`],
  ['job completed', `/jobs/${jobs.completed.id}`],
  ['job pending', `/jobs/${jobs.pending.id}`],
  ['job failed', `/jobs/${jobs.failed.id}`],
  ['job asked', `/jobs/${jobs.asked.id}`],
  ['row', `/jobs/${jobs.completed.id}/rows/10`],
  ['delete jobs', `/jobs/delete?job=${jobs.pending.id}`],
  ['find', '/find?q=completed'],
  ['formats', '/formats'],
  ['docs', '/api/docs'],
  ['problems', '/problems'],
].map(([name, path]) => [name, web + path]);
const cookie = accounts && (await signIn());
if (accounts) {
  for (const name of ['sign-in', 'account', 'accounts', 'audit']) pages.push([name, `${accounts}/${name}`]);
}
const chrome = await launch({
  chromePath: process.env.CHROMIUM_PATH ?? chromium.executablePath(),
  chromeFlags: ['--headless=new', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
});
const failures = [];
try {
  console.log('page           perf  a11y  best   seo |     FCP      LCP      TTI      TBT   CLS | wasm    all');
  for (const [name, url] of pages) {
    const { lhr, report } = await lighthouse(url, {
      extraHeaders: url.startsWith(accounts) && name !== 'sign-in' ? { cookie } : undefined,
      port: chrome.port,
      output: 'html',
      onlyCategories: CATEGORIES,
      logLevel: 'error',
    });
    if (reports) {
      const file = `${reports}/${name.replace(' ', '-')}`;
      writeFileSync(`${file}.html`, report);
      writeFileSync(`${file}.json`, JSON.stringify(lhr));
    }
    if (lhr.runtimeError) throw new Error(`${name}: ${lhr.runtimeError.message}`);
    const scores = CATEGORIES.map((category) => Math.round(lhr.categories[category].score * 100));
    const time = (audit) => `${Math.round(lhr.audits[audit].numericValue)} ms`.padStart(8);
    const requests = lhr.audits['network-requests'].details.items;
    const bytes = (items) => items.reduce((sum, item) => sum + item.transferSize, 0);
    const wasm = bytes(requests.filter((request) => request.url.endsWith('.wasm')));
    console.log(
      name.padEnd(14),
      scores.map((score) => String(score).padStart(4)).join('  '),
      '|',
      ['first-contentful-paint', 'largest-contentful-paint', 'interactive', 'total-blocking-time'].map(time).join(''),
      lhr.audits['cumulative-layout-shift'].numericValue.toFixed(3),
      '|',
      `${Math.round(wasm / 1000)} kB  ${Math.round(bytes(requests) / 1000)} kB`,
    );
    for (const [index, category] of CATEGORIES.entries()) {
      if (scores[index] >= (LEAST[name]?.[category] ?? 100)) continue;
      const reasons = lhr.categories[category].auditRefs
        .filter(({ id, weight }) => weight > 0 && lhr.audits[id].score !== null && lhr.audits[id].score < 1)
        .map(({ id }) => `${id} ${lhr.audits[id].displayValue ?? ''}`.trim());
      failures.push(`${name}: ${category} ${scores[index]} (${reasons.join(', ')})`);
    }
    if (wasm > MOST_WASM) failures.push(`${name}: ${wasm} bytes of WebAssembly, more than ${MOST_WASM}`);
  }
} finally {
  chrome.kill();
}
for (const failure of failures) console.log(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
