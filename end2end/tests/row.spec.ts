import { expect, test } from '@playwright/test';
import { completed, createUser, live, start, upload } from './batchline';

const FILE = [
  'transaction_id,amount,date,Note',
  'A,1,2024-01-01,"first, quoted"',
  'B,x,2024-01-32,',
  'A,2,2024-01-02,the same id',
  ...Array.from({ length: 20 }, (_, row) => `R${row},1,2024-01-01,plain`),
  '',
].join('\n');

test('a row has its own page with everything in the file about it', async ({ page }) => {
  await createUser(page);
  await upload(page, 'rows.csv', FILE);
  await start(page);
  await completed(page);
  const job = new URL(page.url()).pathname;
  await page.goto(`${job}/rows/3`);
  await expect(page.getByRole('heading', { level: 1, name: 'Row 3' })).toBeVisible();
  await expect(page.getByText('line 4 of the file')).toBeVisible();
  await expect(page.getByText('A,2,2024-01-02,the same id', { exact: true })).toBeVisible();
  const value = (name: string) =>
    page.locator('dt', { hasText: new RegExp(`^${name}$`) }).locator('xpath=following-sibling::dd');
  await expect(value('Note')).toHaveText('the same id');
  await expect(value('amount')).toHaveText('2');
  await page.getByRole('link', { name: 'row 1', exact: true }).click();
  await expect(page).toHaveURL(`${job}/rows/1`);
  await expect(page.getByText('A,1,2024-01-01,"first, quoted"', { exact: true })).toBeVisible();
  await expect(value('Note')).toHaveText('first, quoted');
  await expect(page.getByText('Previous row')).toHaveAttribute('aria-disabled', 'true');
  await page.getByRole('link', { name: 'Next row' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Row 2' })).toBeVisible();
  await expect(page.getByRole('listitem')).toHaveCount(2);
  await expect(value('Note')).toHaveText('empty');
  // Back to the table.
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link', { name: 'rows.csv' }).click();
  await expect(page.locator('tr[aria-current]')).toContainText('2024-01-32');
  expect((await page.goto(`${job}/rows/24`))?.status()).toBe(404);
  await expect(page.getByRole('heading', { level: 1, name: 'Row not found' })).toBeVisible();
});

test('a row opens next to its table, and the arrow keys lead to others @javascript', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await createUser(page);
  await upload(page, 'rows.csv', FILE);
  await start(page);
  await completed(page);
  await live(page);
  const table = page.getByRole('table', { name: 'Transactions' });
  await expect(table.getByRole('row')).toHaveCount(21);
  const url = page.url();
  // A click anywhere in the row.
  await table.getByRole('cell', { name: '2024-01-02' }).click();
  const drawer = page.getByRole('dialog', { name: 'Row 3' });
  await expect(drawer).toContainText('A,2,2024-01-02,the same id');
  await page.keyboard.press('ArrowUp');
  await expect(page.getByRole('dialog', { name: 'Row 2' })).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await expect(drawer).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByRole('dialog', { name: 'Row 4' })).toBeVisible();
  await page.getByRole('button', { name: 'Copy as JSON' }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain('R0');
  expect(JSON.parse(await page.evaluate(() => navigator.clipboard.readText()))).toEqual({
    transaction_id: 'R0',
    amount: '1',
    date: '2024-01-01',
    Note: 'plain',
  });
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  // The row shown last has the focus, so Enter opens it again.
  await expect(table.getByRole('link', { name: '4', exact: true })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog', { name: 'Row 4' })).toBeVisible();
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  expect(page.url()).toBe(url);
});

test('the matches of a search are marked', async ({ page }) => {
  await createUser(page);
  await upload(page, 'rows.csv', FILE.replace('Note', 'description'));
  await start(page);
  await completed(page);
  await page.getByRole('searchbox').fill('SAME id');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('table', { name: 'Transactions' }).locator('mark')).toHaveText(['same id']);
});

test('deleting a file asks by its name and size', async ({ page }) => {
  await createUser(page);
  await upload(page, 'rows.csv', FILE);
  await page.getByRole('button', { name: 'Delete file…' }).click();
  await expect(page.getByRole('dialog')).toContainText(
    `This deletes rows.csv (${FILE.length} bytes), its rows and results.`,
  );
});
