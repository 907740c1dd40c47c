import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, complaints, completed, createUser, expectAccessible, listed, live, start, upload } from './batchline';

const FILE = [
  'transaction_id,amount,date,description',
  'TXN001,150.00,2024-01-15,Monthly subscription',
  'TXN002,60000,2024-01-16,Service fee',
  'TXN003,abc,2024-02-30,Wrong twice',
  `TXN001,1,2024-01-19,${'The same id again. '.repeat(30)}`,
  ...Array.from({ length: 30 }, (_, row) => `MORE${row},${row}.95,2024-02-01,More of the same`),
].join('\n');

// During a transition, a color has the contrast of neither end.
test.use({ contextOptions: { reducedMotion: 'reduce' } });

test('axe finds nothing on any page @javascript @once', async ({ page }) => {
  const errors = complaints(page);

  await createUser(page);
  const dashboard = page.url();
  await expectAccessible(page, 'a new user');
  await upload(page, 'broken.csv', 'id,value\n1,2\n');
  await expectAccessible(page, 'a pending job');
  await start(page);
  await expect(page.getByText('Failed', { exact: true })).toBeVisible();
  await expectAccessible(page, 'a failed job');
  await page.goto(dashboard);
  await upload(page, 'march.csv', FILE);
  await start(page);
  await completed(page);
  await expectAccessible(page, 'a completed job');
  await page.goto(`${page.url()}?filter=invalid`);
  await page.locator('.long-text summary').click();
  await expectAccessible(page, 'invalid rows');
  await page.getByRole('button', { name: 'Delete file…' }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await expectAccessible(page, 'a question');
  await page.goto(dashboard);
  await expect(listed(page)).toHaveCount(2);
  await expectAccessible(page, 'a user with files');
  await page.getByRole('button', { name: 'Shortcuts' }).click();
  await expectAccessible(page, 'the shortcuts');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('march');
  await expect(
    page.getByRole('dialog', { name: 'Find' }).getByRole('link', { name: 'march.csv' }).first(),
  ).toBeVisible();
  await expectAccessible(page, 'what is found');
  await page.goto('/users');
  await expectAccessible(page, 'the users');
  await page.goto('/find?q=march');
  await expectAccessible(page, 'the page that finds');
  await page.goto('/formats');
  await expectAccessible(page, 'the supported formats');
  expect(errors()).toEqual([]);
  await page.goto('/nowhere');
  await expectAccessible(page, 'no page');
});

test('axe finds nothing on the lists of jobs @javascript @once', async ({ page }) => {
  const { email } = await createUser(page);
  const dashboard = page.url();
  await upload(page, 'broken.csv', 'id,value\n1,2\n');
  await start(page);
  await expect(page.getByText('Failed', { exact: true })).toBeVisible();
  await page.goto(dashboard);
  await upload(page, 'march.csv', FILE);
  // Other tests have jobs, too.
  await page.goto(`/?q=${encodeURIComponent(email)}`);
  await live(page);
  await expectAccessible(page, 'the jobs');
  await page.getByRole('checkbox', { name: /^Select .*march.csv/ }).check();
  await expectAccessible(page, 'a selected job');
  await page.getByRole('button', { name: 'Retry', exact: true }).click();
  await expect(page.getByText('No job was retried.')).toBeVisible();
  await expectAccessible(page, 'a refusal');
  await page.getByRole('checkbox', { name: 'Select march.csv' }).check();
  await page.getByRole('button', { name: 'Delete…' }).click();
  await expect(page.getByRole('heading', { name: 'Delete 1 job?' })).toBeVisible();
  await expectAccessible(page, 'the question before several jobs are deleted');
  await page.goto('/?q=nothing-like-it');
  await expectAccessible(page, 'no jobs found');
});

test('axe finds nothing on several files, versions, and a row in its drawer @javascript @once', async ({ page }) => {
  await createUser(page);
  const dashboard = page.url();
  // Until then, only one file at a time can be chosen.
  await live(page);
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles(['one.csv', 'two.csv'].map((name) => ({ name, mimeType: 'text/csv', buffer: Buffer.from(FILE) })));
  await expect(page.getByRole('list', { name: 'Chosen files' }).getByText(/rows are invalid/)).toHaveCount(2);
  await expectAccessible(page, 'several files');
  await page.goto(dashboard);
  await upload(page, 'march.csv', FILE);
  await start(page);
  await completed(page);
  await page.getByRole('link', { name: 'Upload a corrected version' }).click();
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles({ name: 'april.csv', mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) });
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(page).toHaveTitle(/^Completed · april/);
  await page.getByText('By kind of error').click();
  await page.getByText('History', { exact: true }).click();
  await expectAccessible(page, 'versions and history');
  const job = page.url();
  await live(page);
  await page.locator('#row-2').getByRole('cell').last().click();
  await expect(page.getByRole('dialog', { name: 'Row 2' })).toBeVisible();
  await expectAccessible(page, 'a row in its drawer');
  await page.goto(`${job}/rows/3`);
  await expectAccessible(page, 'a row');
});

test('axe finds nothing on the charts of a job, and their tables @javascript @once', async ({ page }) => {
  await createUser(page);
  await page.getByRole('button', { name: 'Try it with 200,000 sample rows' }).click();
  await completed(page);
  await page.getByText('Rows per second', { exact: true }).first().click();
  for (const table of await page.getByText('As a table').all()) await table.click();
  for (const name of ['Rows per second', 'Amounts by size', 'Rows by month']) {
    await expect(page.getByRole('table', { name })).toBeVisible();
  }
  await expectAccessible(page, 'the charts of a job, and their tables');
});

test('a form that comes back with an error is accessible @javascript @once', async ({ page }) => {
  await page.goto('/users');
  await page.getByLabel('Name').fill('   ');
  await page.getByLabel('Email').fill('ann@example.com');
  await page.getByRole('button', { name: 'Create user' }).click();
  await expect(page.getByLabel('Name')).toHaveAttribute('aria-invalid', 'true');
  await expectAccessible(page, 'a form with an error');
});

test('a printed job shows its results, and nothing to click @once', async ({ page }) => {
  const user = await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await start(page);
  await completed(page);
  await page.emulateMedia({ media: 'print' });
  // The width of a sheet. On paper the rows are a table, not cards.
  await page.setViewportSize({ width: 720, height: 1000 });
  const cell = page.getByRole('table', { name: 'Transactions' }).getByRole('cell').first();
  expect(await cell.evaluate((element) => getComputedStyle(element).display)).toBe('table-cell');
  const address = page.url().replace(/^.*\/\//, '');
  await expect(
    page.getByText(`${user.name}, ${user.email} · payments.csv · printed from ${address} at 20`),
  ).toBeVisible();
  await expect(page.getByText('Total (valid rows)')).toBeVisible();
  await expect(page.getByRole('table', { name: 'Transactions' })).toBeVisible();
  for (const role of ['button', 'searchbox', 'spinbutton'] as const) {
    await expect(page.getByRole(role)).toHaveCount(0);
  }
});
