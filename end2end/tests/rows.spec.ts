import { readFile } from 'node:fs/promises';
import { expect, test, type Page } from '@playwright/test';
import { completed, createUser, live, start, upload } from './batchline';

const FILE = [
  'transaction_id,amount,date,description',
  ...Array.from({ length: 45 }, (_, row) => `GOOD${row + 1},10.5,2024-03-01,Ordinary`),
  'ODD1,60000,2024-03-02,Large one',
  'BAD1,ten,2024-02-30,Wrong twice',
  'BAD2,,2024-03-02,<img src=x onerror=alert(1)>',
  'GOOD1,1,2024-03-02,Again',
].join('\n');

const table = (page: Page) => page.getByRole('table', { name: 'Transactions' });
// Without the header.
const rows = (page: Page) =>
  table(page)
    .getByRole('row')
    .filter({ has: page.getByRole('cell') });
const filters = (page: Page) => page.getByRole('navigation', { name: 'Filter by verdict' });

test.beforeEach(async ({ page }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await start(page);
  await completed(page);
  await expect(rows(page)).toHaveCount(20);
});

test('filter, search and page are in the URL', async ({ page }) => {
  await filters(page)
    .getByRole('link', { name: /^Invalid/ })
    .click();
  await expect(page).toHaveURL(/\?filter=invalid/);
  await expect(rows(page)).toHaveCount(3);
  await expect(filters(page).getByRole('link', { name: 'Invalid 3' })).toHaveAttribute('aria-current', 'true');

  await page.getByRole('searchbox', { name: 'Search in ID and description' }).fill('wrong');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page).toHaveURL(/filter=invalid&q=wrong/);
  await expect(rows(page)).toHaveCount(1);
  // Everyone who opens the link sees the same.
  await page.reload();
  await expect(rows(page)).toHaveCount(1);
  await expect(page.getByRole('searchbox')).toHaveValue('wrong');

  await page.goBack();
  await expect(rows(page)).toHaveCount(3);
  await filters(page)
    .getByRole('link', { name: /^Suspicious/ })
    .click();
  await expect(rows(page)).toHaveCount(1);
  await expect(rows(page)).toContainText('60,000');

  await filters(page).getByRole('link', { name: /^All/ }).click();
  await page.getByRole('link', { name: 'Next' }).click();
  await expect(page).toHaveURL(/\?page=2/);
  await expect(page.getByText('21–40 of 49 rows')).toBeVisible();
  await page.getByRole('link', { name: 'Last' }).click();
  await expect(rows(page)).toHaveCount(9);
});

test('each error is shown in its field', async ({ page }) => {
  await filters(page)
    .getByRole('link', { name: /^Invalid/ })
    .click();
  await expect(rows(page)).toHaveCount(3);
  const cell = (row: number, column: number) => rows(page).nth(row).getByRole('cell').nth(column);
  await expect(cell(0, 2)).not.toHaveText('');
  await expect(cell(0, 3)).not.toHaveText('');
  await expect(cell(0, 5)).toHaveText('Invalid');
  await expect(cell(1, 2)).not.toHaveText('');
  await expect(cell(1, 3)).toHaveText('2024-03-02');
  await expect(cell(2, 1)).toContainText('GOOD1');
  await expect(cell(2, 2)).toHaveText('1');
});

test('the content of a file is text, never markup', async ({ page }) => {
  page.on('dialog', () => {
    throw new Error('a script of the file ran');
  });
  await filters(page)
    .getByRole('link', { name: /^Invalid/ })
    .click();
  await expect(page.getByText('<img src=x onerror=alert(1)>')).toBeVisible();
  await expect(table(page).locator('img')).toHaveCount(0);
});

test('an invalid page says so', async ({ page }) => {
  const url = new URL(page.url()).pathname;
  await page.goto(`${url}?page=0`);
  await expect(page.getByText('Page must be 1 or higher.')).toBeVisible();
  await expect(rows(page)).toHaveCount(20);
  await page.goto(`${url}?page=99`);
  await expect(page.getByText("This page doesn't exist.")).toBeVisible();
  await page.getByRole('link', { name: 'Go to the first page' }).click();
  await expect(rows(page)).toHaveCount(20);
  await page.goto(`${url}?q=nothing-like-it`);
  await expect(page.getByText('No row matches this filter and search.')).toBeVisible();
});

test('a change to the number of rows per page applies at once @javascript', async ({ page }) => {
  await live(page);
  const size = page.getByRole('combobox', { name: 'Rows per page' });
  await size.focus();
  await size.selectOption('50 rows');
  await expect(rows(page)).toHaveCount(49);
  await expect(page).toHaveURL(/size=50/);
  await expect(size).toBeFocused();
});

test('an error keeps the search and the number of rows, and no count claims more than is known', async ({ page }) => {
  await page.goto(`${new URL(page.url()).pathname}?size=50&q=GOOD1`);
  await expect(rows(page)).toHaveCount(2);
  await expect(filters(page).getByRole('link')).toHaveText(['All 2', 'Valid', 'Invalid', 'Suspicious']);
  await page.getByRole('region', { name: 'Problems' }).getByRole('link', { name: 'Duplicate ID' }).click();
  await expect(page).toHaveURL(/\?filter=transaction_id\.duplicate&q=GOOD1&size=50/);
  await expect(rows(page)).toHaveCount(1);
  await page.getByRole('region', { name: 'Progress' }).getByRole('link', { name: '3', exact: true }).click();
  await expect(page).toHaveURL(/\?filter=invalid&q=GOOD1&size=50/);
});

test('without a connection the rows stay @javascript', async ({ page, context }) => {
  await live(page);
  const url = page.url();
  await context.setOffline(true);
  await filters(page)
    .getByRole('link', { name: /^Invalid/ })
    .click();
  const sentence = page.getByText("The server can't be reached. Check the connection and try again.");
  await expect(sentence).toBeVisible();
  await expect(page).toHaveURL(url);
  await expect(rows(page)).toHaveCount(20);
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').last().click();
  await expect(page).toHaveURL(url);
  await page.getByRole('button', { name: 'Delete file…' }).click();
  const confirm = page.getByRole('dialog').getByRole('button', { name: 'Delete file' });
  await confirm.click();
  await expect(page).toHaveURL(url);
  await context.setOffline(false);
  await expect(sentence).toBeHidden();
  // The form that wasn't sent can be sent now.
  await confirm.click();
  await expect(page.locator('#notice')).toContainText('mixed.csv was deleted.');
});

test('the invalid rows can be downloaded with their reasons', async ({ page }) => {
  const began = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download invalid rows (3)' }).click();
  const download = await began;
  expect(download.suggestedFilename()).toBe('mixed-invalid.csv');
  const lines = (await readFile(await download.path(), 'utf8')).split('\r\n');
  expect(lines).toHaveLength(5);
  expect(lines[0]).toBe(
    'transaction_id,amount,date,description,row_number,line,is_valid,is_suspicious,errors,error_message',
  );
  expect(lines[1]).toContain(
    'BAD1,ten,2024-02-30,Wrong twice,47,48,false,false,amount.not_a_number;date.out_of_range,',
  );
  expect(lines[3]).toContain('transaction_id.duplicate');

  await page.getByText('More downloads').click();
  const workbook = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Invalid rows as an Excel workbook' }).click();
  expect((await workbook).suggestedFilename()).toBe('mixed-invalid.xlsx');
});
