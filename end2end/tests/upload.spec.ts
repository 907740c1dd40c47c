import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Page, expect, test } from '@playwright/test';
import { SAMPLE, completed, createUser, expectCounts, generated, listed, live, upload } from './batchline';
import { proxy } from './proxy';

const UPLOAD = '**/rpc/upload-file';

const choose = (page: Page, name: string, content: string | Buffer) =>
  page.getByLabel('File', { exact: true }).setInputFiles({
    name,
    mimeType: 'text/csv',
    buffer: Buffer.from(content),
  });

// The page is live once it checks the file.
const takenOver = (page: Page) => expect(page.getByRole('button', { name: 'Check again' })).toBeVisible();

const jobs = async (page: Page) => {
  const user = new URL(page.url()).pathname.split('/').pop();
  return (await page.request.get(`/api/users/${user}/jobs`)).json();
};

async function throttle(page: Page, bytesPerSecond: number) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond,
  });
}

const big = () => generated(100_000).content;

test('an upload shows its progress and can be cancelled @javascript', async ({ page }) => {
  await createUser(page);
  await choose(page, 'big.csv', big());
  await takenOver(page);
  await throttle(page, 100_000);
  const upload = page.getByRole('button', { name: 'Upload only' });
  await upload.click();
  const progress = page.getByRole('progressbar', { name: 'Sent part of the file' });
  await expect.poll(async () => Number(await progress.getAttribute('value')), { timeout: 20_000 }).toBeGreaterThan(5);
  expect(Number(await progress.getAttribute('value'))).toBeLessThan(100);
  await expect(page.getByText(/kB of 5\.\d\sMB/)).toBeVisible();

  const aborted = page.waitForEvent('requestfailed');
  await page.getByRole('button', { name: 'Cancel upload' }).click();
  await aborted;
  await expect(progress).toHaveCount(0);
  await expect(upload).toBeFocused();
  expect(await jobs(page)).toEqual([]);

  await throttle(page, -1);
  await upload.click();
  await expect(page.getByRole('heading', { level: 1, name: 'big.csv' })).toBeVisible();
});

test('leaving the page ends the upload @javascript @once', async ({ page }) => {
  await createUser(page);
  await choose(page, 'big.csv', big());
  await takenOver(page);
  await throttle(page, 100_000);
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByRole('button', { name: 'Cancel upload' })).toBeVisible();
  const user = page.url();
  const leave = page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').first();
  // The browser asks first.
  const asked = page.waitForEvent('dialog');
  await Promise.all([asked.then((dialog) => dialog.dismiss()), leave.click()]);
  expect((await asked).type()).toBe('beforeunload');
  await expect(page).toHaveURL(user);
  await expect(page.getByRole('button', { name: 'Cancel upload' })).toBeVisible();

  const aborted = page.waitForEvent('requestfailed', (request) => request.url().includes('/rpc/'));
  page.once('dialog', (dialog) => dialog.accept());
  await leave.click();
  await aborted;
  await expect(page).toHaveURL('/users');
});

test('after a lost connection the file is still chosen @javascript', async ({ page }) => {
  await createUser(page);
  await choose(page, 'payments.csv', SAMPLE);
  await takenOver(page);
  await page.route(UPLOAD, (route) => route.abort('connectionreset'));
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByText('The connection was lost before the file was stored.')).toBeVisible();
  await page.unroute(UPLOAD);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
});

test('a file whose answer was lost is not stored twice @javascript @once', async ({ page, baseURL }) => {
  await createUser(page);
  let isLossy = true;
  const lossy = await proxy(baseURL!, { after: ({ method }) => !(isLossy && method === 'POST') });
  await page.goto(lossy.through(page.url()));
  await choose(page, 'payments.csv', SAMPLE);
  await takenOver(page);
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByText('The connection was lost while the file was being stored.')).toBeVisible();
  // The browser may have sent it several times by itself.
  await expect(listed(page)).toContainText('payments.csv');
  isLossy = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
  const back = page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').last();
  await back.click();
  await expect(listed(page)).toHaveCount(1);
  // The same file in another upload is another job.
  await upload(page, 'payments.csv', SAMPLE);
  await back.click();
  await expect(listed(page)).toHaveCount(2);
  lossy.close();
});

test('each refusal is a sentence @javascript @once', async ({ page }) => {
  await createUser(page);
  await choose(page, 'payments.csv', SAMPLE);
  await takenOver(page);
  const error = (kind: string, message: string) => JSON.stringify({ kind, message, fields: [], typed: [] });
  const answers = [
    {
      status: 413,
      body: error('TooLarge', 'The file is larger than 5 bytes.'),
      says: 'The file is larger than 5 bytes.',
    },
    { status: 413, body: '<html>nginx</html>', says: 'The file is too large to be accepted here.' },
    {
      status: 503,
      body: error('Unavailable', "The database can't be reached."),
      says: "The database can't be reached.",
    },
    // Refused before the body is read.
    {
      status: 503,
      body: JSON.stringify({ detail: "The file storage can't be reached." }),
      says: "The file storage can't be reached.",
    },
    {
      status: 507,
      body: JSON.stringify({ detail: "There isn't enough room for this file." }),
      says: "There isn't enough room for this file.",
    },
    { status: 500, body: 'oops', says: 'Something went wrong on our side.' },
  ];
  for (const { says, ...answer } of answers) {
    await page.route(UPLOAD, (route) => route.fulfill(answer));
    await page.getByRole('button', { name: /Upload only|Try again/ }).click();
    await expect(page.getByText(says)).toBeVisible();
    await page.unroute(UPLOAD);
  }
  await choose(page, 'payments.csv', SAMPLE);
  await expect(page.getByText('Something went wrong')).toHaveCount(0);
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
});

test('a file that is too large is not even sent @javascript @once', async ({ page }) => {
  const directory = await mkdtemp(join(tmpdir(), 'batchline-'));
  const large = join(directory, 'large.csv');
  await writeFile(large, 'transaction_id,amount,date\n');
  // A sparse file, which takes no space. script/test starts the server with a limit of 200 MB.
  await truncate(large, 250_000_000);
  await createUser(page);
  await page.getByLabel('File', { exact: true }).setInputFiles(large);
  await takenOver(page);
  let sent = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('/rpc/upload-file')) sent += 1;
  });
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByText('The file has 250.0\u00a0MB. Files may have at most 200.0\u00a0MB.')).toBeVisible();
  expect(sent).toBe(0);
  await rm(directory, { recursive: true });
});

const drop = async (page: Page, names: string[]) => {
  const dataTransfer = await page.evaluateHandle(
    ([names, content]) => {
      const data = new DataTransfer();
      for (const name of names) data.items.add(new File([content], name, { type: 'text/csv' }));
      return data;
    },
    [names, SAMPLE] as const,
  );
  // Anywhere in the window; in this case next to the field.
  const heading = page.getByRole('heading', { level: 1 });
  await heading.dispatchEvent('dragenter', { dataTransfer });
  await heading.dispatchEvent('dragover', { dataTransfer });
  await heading.dispatchEvent('drop', { dataTransfer });
};

test('a file can be dropped anywhere in the window @javascript', async ({ page }) => {
  await createUser(page);
  await choose(page, 'other.csv', SAMPLE);
  await takenOver(page);
  await drop(page, ['dropped.csv']);
  await expect(page.getByRole('region', { name: 'dropped.csv' })).toContainText('All 4 rows are valid.');
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'dropped.csv' })).toBeVisible();
});

test('several files are checked, uploaded and started one after the other @javascript', async ({ page }) => {
  await createUser(page);
  await choose(page, 'other.csv', SAMPLE);
  await takenOver(page);
  await drop(page, ['one.csv', 'two.csv', 'three.csv']);
  const queue = page.getByRole('list', { name: 'Chosen files' }).getByRole('listitem');
  await expect(queue).toHaveCount(3);
  for (const [at, name] of ['one.csv', 'two.csv', 'three.csv'].entries()) {
    await expect(queue.nth(at)).toContainText(name);
    await expect(queue.nth(at)).toContainText('All 4 rows are valid.');
    await expect(queue.nth(at).getByRole('progressbar', { name })).toHaveAttribute('value', '100');
  }
  // The second upload loses its connection.
  let sent = 0;
  await page.route(UPLOAD, async (route) => {
    sent += 1;
    if (sent === 2) await route.abort('connectionreset');
    else await route.continue();
  });
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(queue.nth(0)).toContainText('Uploaded. Open the job');
  await expect(queue.nth(1)).toContainText('The connection was lost before the file was stored.');
  await expect(queue.nth(2)).toContainText('Uploaded. Open the job');
  await expect(listed(page).getByText('Completed', { exact: true })).toHaveCount(2);
  // Only the missing files are sent again.
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(queue.nth(1)).toContainText('Uploaded. Open the job');
  await expect(listed(page).getByText('Completed', { exact: true })).toHaveCount(3);
  expect(sent).toBe(4);
  await queue.nth(1).getByRole('link').click();
  await expect(page.getByRole('heading', { level: 1, name: 'two.csv' })).toBeVisible();
});

test('a file is uploaded and started in one step', async ({ page }) => {
  await createUser(page);
  await choose(page, 'payments.csv', SAMPLE);
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
  await completed(page);
  await expectCounts(page, { 'Total rows': '4' });
});

test('the buttons stay in sight over a long report @javascript', async ({ page }) => {
  await createUser(page);
  const rows = Array.from({ length: 40 }, (_, row) => `R${row % 9},x,2024-13-01,,,`).join('\n');
  await choose(page, 'long.csv', `transaction_id,amount,date\n${rows}\n,,\nA,,\n,1,2024-01-01\nB,x,y\n`);
  await takenOver(page);
  await page.setViewportSize({ width: 900, height: 420 });
  await page.getByRole('region', { name: 'long.csv' }).getByRole('heading', { level: 3 }).scrollIntoViewIfNeeded();
  await expect(page.getByRole('button', { name: 'Upload and start' })).toBeInViewport({ ratio: 1 });
});

test('a file that is dropped in the wrong place does not replace the page @javascript', async ({ page }) => {
  await page.goto('/');
  await live(page);
  const prevented = await page.evaluate(() =>
    ['dragover', 'drop'].map((type) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['x'], 'x.csv'));
      const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
      return event.defaultPrevented;
    }),
  );
  expect(prevented).toEqual([true, true]);
});

test('a name from right to left keeps its extension at the end', async ({ page }) => {
  await createUser(page);
  await upload(page, 'معاملات 2024.csv', SAMPLE);
  const name = page.getByRole('heading', { level: 1 }).locator('bdi[dir=ltr]');
  await expect(name).toHaveText('معاملات 2024.csv');
  await expect(name.locator('bdi')).toHaveText('معاملات 2024');
});

test('if the module of the form fails to load, the form is sent as without JavaScript @javascript @once', async ({
  page,
}) => {
  await page.route('**/pkg/*/split_*.wasm', (route) => route.abort());
  const failed = page.waitForEvent('requestfailed', (request) => request.url().endsWith('.wasm'));
  await createUser(page);
  await live(page);
  await page.getByLabel('File', { exact: true }).hover();
  await failed;
  // The rest of the page is live.
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
  await page.keyboard.press('Escape');
  await choose(page, 'payments.csv', SAMPLE);
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
  await completed(page);
});

test('a double click sends once @javascript', async ({ page }) => {
  await createUser(page);
  await choose(page, 'payments.csv', SAMPLE);
  await takenOver(page);
  let sent = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('/rpc/upload-file')) sent += 1;
  });
  await page.getByRole('button', { name: 'Upload only' }).dblclick();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
  expect(sent).toBe(1);
});

test('the upload needs no JavaScript, the check does', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  await choose(page, 'payments.csv', SAMPLE);
  await expect(page.getByRole('region', { name: 'payments.csv' })).toHaveCount(javaScriptEnabled ? 1 : 0);
  await page.getByRole('button', { name: 'Upload only' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
});
