import { expect, test } from '@playwright/test';
import { completed, createUser, start, upload } from './batchline';

const file = (...amounts: string[]) =>
  ['transaction_id,amount,date', ...amounts.map((amount, row) => `R${row},${amount},2024-01-01`), ''].join('\n');

test('a corrected version is kept with the previous one, and says what is fixed', async ({ page }) => {
  await createUser(page);
  await upload(page, 'payments.csv', file('x', 'y', 'z', '1', ''));
  await start(page);
  await completed(page);
  const first = page.url();
  await page.getByRole('link', { name: 'Upload a corrected version' }).click();
  await expect(page.getByRole('heading', { name: 'Upload a corrected version of payments.csv' })).toBeVisible();
  await page.getByLabel('File', { exact: true }).setInputFiles({
    name: 'payments-2.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(file('1', '2', 'z', '', '')),
  });
  await page.getByRole('button', { name: 'Upload and start' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments-2.csv' })).toBeVisible();
  await expect(page).toHaveTitle('Completed · payments-2.csv · Batchline');
  const versions = page.getByRole('region', { name: 'Versions of this file' });
  await expect(versions).toContainText('2 of 4 errors are fixed; 1 is new.');
  await versions.getByText('By kind of error').click();
  await expect(versions).toContainText('Amount is not a number: 3 before, 1 now');
  await expect(versions.getByRole('link', { name: 'payments-2.csv' })).toHaveAttribute('aria-current', 'page');
  await versions.getByRole('link', { name: 'payments.csv' }).click();
  await expect(page).toHaveURL(first);
  await expect(versions.getByRole('link', { name: 'payments-2.csv' })).toBeVisible();
  await expect(versions).not.toContainText('fixed');
});

test('a failed job asks for a corrected version first', async ({ page }) => {
  await createUser(page);
  await upload(page, 'broken.csv', 'no,header\n');
  await start(page);
  await expect(page.getByText('Failed', { exact: true })).toBeVisible();
  await page.getByRole('link', { name: 'Upload a corrected version' }).click();
  await expect(page.getByRole('heading', { name: 'Upload a corrected version of broken.csv' })).toBeVisible();
  // Changing one's mind.
  await page.getByRole('link', { name: 'Upload another file instead' }).click();
  await expect(page.getByRole('heading', { name: 'Upload files' })).toBeVisible();
});
