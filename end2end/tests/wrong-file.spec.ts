import { expect, test } from '@playwright/test';
import { SAMPLE, completed, createUser, start, upload } from './batchline';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

// Each with words that its sentence must contain.
const files = [
  { title: 'a picture', name: 'receipt.png', content: PNG, says: /image \(PNG\)/ },
  { title: 'an empty file', name: 'empty.csv', content: '', says: /empty/i },
  { title: 'a file of empty lines', name: 'blank.csv', content: '\n\n\n', says: /empty lines/ },
  {
    title: 'a file without a column',
    name: 'no-amount.csv',
    content: 'transaction_id,date\nTXN001,2024-01-15\n',
    says: /amount/,
  },
];

for (const { title, name, content, says } of files) {
  test(`${title} fails with a sentence, and a new upload works @large`, async ({ page }) => {
    await createUser(page);
    await upload(page, name, content);
    await start(page);
    await expect(page.getByText('Failed', { exact: true })).toBeVisible();
    await expect(page).toHaveTitle(`Failed · ${name} · Batchline`);
    await expect(page.getByText('This file was not processed.')).toBeVisible();
    // A retry would fail again.
    await expect(page.getByRole('button', { name: 'Retry' })).toHaveCount(0);
    await expect(page.getByRole('region', { name: 'Progress' })).toContainText(says);

    await page.getByRole('link', { name: 'upload it again' }).click();
    await upload(page, 'payments.csv', SAMPLE);
    await start(page);
    await completed(page);
  });
}

test('deleting a file asks first', async ({ page }) => {
  const user = await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await page.getByRole('button', { name: 'Delete file…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Delete this file?' });
  await dialog.getByRole('button', { name: 'Delete file' }).click();
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
  await expect(page.getByText('No files yet')).toBeVisible();
});
