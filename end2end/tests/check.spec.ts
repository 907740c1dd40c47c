import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type APIRequestContext, type Page, expect, test } from '@playwright/test';
import { SAMPLE, createUser, generated } from './batchline';
import { FILES, REFUSED } from './files';

const choose = (page: Page, name: string, content: string | Buffer) =>
  page.getByLabel('File', { exact: true }).setInputFiles({
    name,
    mimeType: 'text/csv',
    buffer: Buffer.from(content),
  });

// The check of the file with this name.
const check = (page: Page, name: string) => page.getByRole('region', { name, exact: false });

const ended = (page: Page, name: string) =>
  expect(check(page, name).getByRole('button', { name: 'Check again' })).toBeVisible({
    timeout: 60_000,
  });

const number = (page: Page, name: string, term: string) =>
  check(page, name)
    .locator('dt')
    .and(page.getByText(term, { exact: true }))
    .locator('xpath=following-sibling::dd');

async function download(page: Page, button: RegExp) {
  const began = page.waitForEvent('download');
  await page.getByRole('button', { name: button }).click();
  const file = await began;
  return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
}

// The worker's result for the file: the job once it has ended.
async function process(request: APIRequestContext, user: string, name: string, content: Buffer) {
  const uploaded = await request.post(`/api/jobs?user_id=${user}`, {
    multipart: { file: { name, mimeType: 'text/csv', buffer: content } },
  });
  expect(uploaded.status()).toBe(201);
  const { id } = await uploaded.json();
  await request.post(`/api/jobs/${id}/start`);
  const job = async () => (await request.get(`/api/jobs/${id}`)).json();
  await expect.poll(async () => (await job()).status, { timeout: 120_000 }).toMatch(/completed|failed/);
  return job();
}

const userId = (page: Page) => new URL(page.url()).pathname.split('/').pop() ?? '';

test('the browser and the worker agree on every byte @javascript @once', async ({ page, request }) => {
  test.setTimeout(300_000);
  await createUser(page);
  for (const [title, content] of FILES) {
    await test.step(title, async () => {
      const name = `${title}.csv`;
      await choose(page, name, content);
      await ended(page, name);
      const job = await process(request, userId(page), name, content);
      expect(job.status, title).toBe('completed');
      const result = async (filter: string) =>
        (await request.get(`/api/jobs/${job.id}/results.csv?filter=${filter}`)).body();

      const all = await download(page, /^All rows/);
      expect(all.name).toBe(`${title}-all.csv`);
      expect(all.content.toString('latin1'), title).toBe((await result('all')).toString('latin1'));
      if (job.invalid_records > 0) {
        const invalid = await download(page, /^Invalid rows/);
        expect(invalid.content.equals(await result('invalid')), title).toBe(true);
      }
      const shown = [job.total_records, job.valid_records, job.invalid_records, job.suspicious_records];
      for (const [at, term] of ['Rows', 'Valid', 'Invalid', 'Suspicious'].entries()) {
        await expect(number(page, name, term)).toHaveText(shown[at].toLocaleString('en'));
      }
    });
  }
});

test('a file that would fail says why, as its job does @javascript @once', async ({ page, request }) => {
  await createUser(page);
  for (const [title, content] of REFUSED) {
    await test.step(title, async () => {
      const name = `${title}.csv`;
      await choose(page, name, content);
      await ended(page, name);
      const job = await process(request, userId(page), name, content);
      expect(job.status, title).toBe('failed');
      await expect(check(page, name)).toContainText(job.error);
    });
  }
});

test('problems are shown by kind, with the first rows, and how the file is read @javascript', async ({ page }) => {
  await createUser(page);
  const rows = [
    'Note;Transaction-ID;Amount;Timestamp',
    'a;T1;10.50;2024-01-31',
    'b;T2;60000;2024-02-01',
    ...Array.from({ length: 5 }, (_, row) => `c;T${row + 3};ten;2024-02-01`),
    'd;T1;1;2024-02-30',
  ];
  await choose(page, 'mixed.csv', rows.join('\n'));
  await ended(page, 'mixed.csv');
  const region = check(page, 'mixed.csv');
  await expect(region).toContainText('6 of 8 rows are invalid. 1 row is suspicious');
  const problems = region.getByRole('list', { name: 'Problems' });
  await expect(problems.locator('summary')).toHaveText([
    'Amount is not a number 5 rows',
    'Duplicate ID 1 row',
    'Impossible date 1 row',
  ]);
  const first = problems.getByRole('listitem').first();
  await expect(first).toContainText('Row 3 · line 4 "ten" isn\'t a number');
  await expect(first).toContainText('Row 5');
  await expect(first).toContainText('and 2 more');
  await expect(number(page, 'mixed.csv', 'transaction_id')).toHaveText('column 2, "Transaction-ID"');
  await expect(number(page, 'mixed.csv', 'date')).toHaveText('column 4, "Timestamp"');
  await expect(number(page, 'mixed.csv', 'description')).toHaveText('not found');
  await expect(number(page, 'mixed.csv', 'Not checked')).toHaveText('"Note"');
  await expect(number(page, 'mixed.csv', 'Delimiter')).toHaveText('semicolon');
  await expect(number(page, 'mixed.csv', 'Date range (valid rows)')).toHaveText('2024-01-31 to 2024-02-01');
  // Announced once to screen readers.
  await expect(page.getByRole('status').filter({ hasText: '6 of 8 rows are invalid' })).toHaveCount(1);

  await choose(page, 'header.csv', 'transaction_id,amount,date\n');
  await expect(check(page, 'header.csv')).toContainText('The file has a header and no rows.');
  await page.getByLabel('File', { exact: true }).setInputFiles([]);
  await expect(check(page, 'header.csv')).toHaveCount(0);
});

test.describe('a check of a file on disk @once', () => {
  let directory: string;
  let large: string;

  test.beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'batchline-'));
    large = join(directory, 'large.csv');
    await writeFile(large, generated(1_500_000).content);
  });

  test.afterAll(() => rm(directory, { recursive: true }));

  test('can be stopped and started again @javascript', async ({ page }) => {
    await createUser(page);
    await page.getByLabel('File', { exact: true }).setInputFiles(large);
    const stop = page.getByRole('button', { name: 'Stop check' });
    await stop.click();
    await expect(check(page, 'large.csv')).toContainText('Check stopped.');
    await expect.poll(() => page.workers().length).toBe(0);
    const again = page.getByRole('button', { name: 'Check again' });
    await expect(again).toBeFocused();

    await again.click();
    // The result arrives gradually.
    await expect(number(page, 'large.csv', 'Valid')).not.toHaveText('0');
    await expect(stop).toBeVisible();
    await ended(page, 'large.csv');
    await expect(check(page, 'large.csv')).toContainText('All 1,500,000 rows are valid.');
    await expect(check(page, 'large.csv').getByRole('progressbar')).toHaveAttribute('value', '100');
    // Downloads are limited to a hundred megabytes of rows.
    await page.getByRole('button', { name: /^All rows/ }).click();
    await expect(check(page, 'large.csv')).toContainText('Too many rows to download here: more than 100.0');
  });

  test('ends when another file is chosen, and never blocks the upload @javascript', async ({ page }) => {
    await createUser(page);
    await page.getByLabel('File', { exact: true }).setInputFiles(large);
    await expect(page.getByRole('button', { name: 'Stop check' })).toBeVisible();
    await choose(page, 'small.csv', SAMPLE);
    await ended(page, 'small.csv');
    await expect(number(page, 'small.csv', 'Rows')).toHaveText('4');
    await expect(check(page, 'large.csv')).toHaveCount(0);
    await expect.poll(() => page.workers().length).toBe(0);

    await page.getByLabel('File', { exact: true }).setInputFiles(large);
    await expect(page.getByRole('button', { name: 'Stop check' })).toBeVisible();
    await page.getByRole('button', { name: 'Upload only' }).click();
    await expect(page.getByRole('heading', { level: 1, name: 'large.csv' })).toBeVisible({
      timeout: 60_000,
    });
    await expect.poll(() => page.workers().length).toBe(0);
  });

  test('ends with a sentence if the file was changed @javascript', async ({ page }) => {
    await createUser(page);
    const changing = join(directory, 'changing.csv');
    await writeFile(changing, SAMPLE);
    await page.getByLabel('File', { exact: true }).setInputFiles(changing);
    await ended(page, 'changing.csv');
    await writeFile(changing, `${SAMPLE}TXN005,1,2024-01-01,One more\n`);
    await page.getByRole('button', { name: 'Check again' }).click();
    await expect(check(page, 'changing.csv')).toContainText("The file can't be read");
    await rm(changing);
    await page.getByRole('button', { name: 'Upload only' }).click();
    await expect(page.getByText("The file can't be read any more")).toBeVisible();
  });
});

for (const part of ['js', 'wasm']) {
  test(`a check whose ${part} can't be loaded says so, and hinders nothing @javascript @once`, async ({
    page,
    context,
  }) => {
    await createUser(page);
    await context.route(`**/pkg/*/check.${part}`, (route) => route.abort());
    await choose(page, 'payments.csv', SAMPLE);
    await ended(page, 'payments.csv');
    await expect(check(page, 'payments.csv')).toContainText("The check couldn't be loaded");
    await context.unroute(`**/pkg/*/check.${part}`);
    await page.getByRole('button', { name: 'Check again' }).click();
    await expect(check(page, 'payments.csv')).toContainText('All 4 rows are valid.');
    await page.getByRole('button', { name: 'Upload only' }).click();
    await expect(page).toHaveURL(/\/jobs\/\d+$/);
  });
}
