// The browser's check of a file of a million rows in Chromium, on the same bytes as the native measurement "check
// (browser)" of `cargo bench -p validator`.
//
//   node bench/check.mjs SITE NATIVE FILE
//
// SITE is the built directory; only a release build gives meaningful results. NATIVE is the native result in MB/s,
// and FILE has a million valid rows.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chromium } from '@playwright/test';

const [site, native, file] = process.argv.slice(2);
const ROUNDS = 5;

// Runs in the page, in a web worker as for users.
async function check({ script, wasm, text, rounds }) {
  const url = (path) => JSON.stringify(new URL(path, location.href).href);
  const loader = `import init, { check_file } from ${url(script)};
    onmessage = ({ data: [file] }) => init({ module_or_path: ${url(wasm)} }).then(() => check_file(file));`;
  const blob = new Blob([loader], { type: 'text/javascript' });
  const file = new File([text], 'million.csv');
  const seconds = [];
  for (let round = 0; round < rounds; round++) {
    const worker = new Worker(URL.createObjectURL(blob), { type: 'module' });
    const report = await new Promise((resolve, reject) => {
      worker.onerror = () => reject(new Error('the check broke off'));
      worker.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message.Done) resolve(message.Done);
        if (message.Failed) reject(new Error(JSON.stringify(message.Failed)));
      };
      worker.postMessage([file]);
    });
    worker.terminate();
    if (report.progress.counts.valid !== 1_000_000) throw new Error('not every row is valid');
    seconds.push(report.progress.seconds);
  }
  return { bytes: file.size, seconds };
}

const TYPES = { js: 'text/javascript', wasm: 'application/wasm', '': 'text/html' };
const text = await readFile(file, 'utf8');
const folder = join(site, 'pkg', await readFile(join(site, 'folder.txt'), 'utf8'));
const server = createServer(async (request, response) => {
  const name = basename(request.url);
  const type = TYPES[name.includes('.') ? name.split('.').pop() : ''];
  try {
    const body = name ? await readFile(join(folder, name)) : '<!DOCTYPE html>';
    response.writeHead(200, { 'content-type': type }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const executablePath = [process.env.CHROMIUM_PATH, '/usr/bin/chromium'].find((path) => path && existsSync(path));
const browser = await chromium.launch({
  executablePath,
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const { bytes, seconds } = await page.evaluate(check, {
  script: '/check.js',
  wasm: '/check.wasm',
  text,
  rounds: ROUNDS,
});
await browser.close();
server.close();

const median = seconds.sort((a, b) => a - b)[Math.floor(seconds.length / 2)];
const throughput = bytes / 1e6 / median;
console.log(
  `  ${'check in Chromium'.padEnd(24)} ${throughput.toFixed(0).padStart(6)} MB/s  ` +
    `${(throughput / Number(native)).toFixed(2)} of the same code on this machine itself`,
);
