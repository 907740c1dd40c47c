// What Lighthouse says of the three kinds of pages, on the telephone that it simulates (its preset: 4 times slower than
// this machine, 1.6 Mbit/s). Fails where a score is below 100, or one page downloads more WebAssembly than it may.
//
//   node lighthouse.mjs [DIRECTORY-FOR-THE-REPORTS]

import { writeFileSync } from 'node:fs';
import { launch } from 'chrome-launcher';
import lighthouse from 'lighthouse';
import { chromium } from 'playwright';

const web = process.env.BATCHLINE_URL ?? 'http://127.0.0.1:3000';
const api = process.env.BATCHLINE_API_URL ?? 'http://127.0.0.1:8000';
const reports = process.argv[2];

const MOST_WASM = Number(process.env.MOST_WASM ?? 200_000);
const CATEGORIES = ['performance', 'accessibility', 'best-practices', 'seo'];

async function call(path, init) {
  const response = await fetch(`${api}${path}`, init);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// A user with a completed job of all kinds of rows.
async function example() {
  const user = await call('/users', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Ann', email: `ann-${Date.now()}@example.com` }),
  });
  const rows = Array.from({ length: 200 }, (_, row) =>
    row % 10 === 9 ? `TXN${row},much,2024-13-01,` : `TXN${row},${row - 5}.50,2024-01-15,Service fee`,
  );
  const form = new FormData();
  const file = ['transaction_id,amount,date,description', ...rows, ''].join('\n');
  form.append('file', new Blob([file], { type: 'text/csv' }), 'payments.csv');
  const job = await call(`/jobs?user_id=${user.id}`, { method: 'POST', body: form });
  await call(`/jobs/${job.id}/start`, { method: 'POST' });
  const deadline = Date.now() + 60_000;
  while ((await call(`/jobs/${job.id}`)).status !== 'completed') {
    if (Date.now() > deadline) throw new Error('the job was not completed in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { user, job };
}

const { user, job } = await example();
const chrome = await launch({
  chromePath: process.env.CHROMIUM_PATH ?? chromium.executablePath(),
  chromeFlags: ['--headless=new', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
});
const failures = [];
try {
  console.log('page          perf  a11y  best   seo |   FCP    LCP    TTI    TBT   CLS | wasm    all');
  for (const [name, path] of [
    ['/', '/'],
    ['/users/{id}', `/users/${user.id}`],
    ['/jobs/{id}', `/jobs/${job.id}`],
  ]) {
    const { lhr, report } = await lighthouse(`${web}${path}`, {
      port: chrome.port,
      output: 'html',
      onlyCategories: CATEGORIES,
      logLevel: 'error',
    });
    if (reports) {
      writeFileSync(`${reports}/${name.split('/')[1] || 'home'}.html`, report);
      writeFileSync(`${reports}/${name.split('/')[1] || 'home'}.json`, JSON.stringify(lhr));
    }
    if (lhr.runtimeError) throw new Error(`${name}: ${lhr.runtimeError.message}`);
    const scores = CATEGORIES.map((category) => Math.round(lhr.categories[category].score * 100));
    const time = (audit) => `${Math.round(lhr.audits[audit].numericValue)} ms`.padStart(7);
    const requests = lhr.audits['network-requests'].details.items;
    const bytes = (items) => items.reduce((sum, item) => sum + item.transferSize, 0);
    const wasm = bytes(requests.filter((request) => request.url.endsWith('.wasm')));
    console.log(
      name.padEnd(13),
      scores.map((score) => String(score).padStart(4)).join('  '),
      '|',
      ['first-contentful-paint', 'largest-contentful-paint', 'interactive', 'total-blocking-time']
        .map(time)
        .join(''),
      lhr.audits['cumulative-layout-shift'].numericValue.toFixed(3),
      '|',
      `${Math.round(wasm / 1000)} kB  ${Math.round(bytes(requests) / 1000)} kB`,
    );
    for (const [index, category] of CATEGORIES.entries()) {
      if (scores[index] === 100) continue;
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
