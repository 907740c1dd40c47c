// Every command shows a notice about its result on the page that it leads to.

import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, createUser, live, upload } from './batchline';

const notice = (page: Page) => page.locator('#notice');

test('saving and deleting say what was done', async ({ page, javaScriptEnabled }) => {
  const user = await createUser(page);
  await expect(notice(page)).toContainText(`${user.name} was created.`);
  const userPage = page.url();
  // The notice is shown only once.
  await page.reload();
  await expect(notice(page)).toBeEmpty();

  await page.getByText('Edit name and email').click();
  await page.getByLabel('Name', { exact: true }).fill(`${user.name} B`);
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(notice(page)).toContainText('Name and email were saved.');
  if (javaScriptEnabled) {
    await live(page);
    await notice(page).getByRole('button', { name: 'Dismiss' }).click();
    await expect(notice(page)).toBeEmpty();
  }

  await page.getByText('Import a format').click();
  await page.getByLabel('JSON of an export').fill('{"name": "bank", "header": null, "format": {"delimiter": ";"}}');
  await page.getByRole('button', { name: 'Import' }).click();
  await expect(notice(page)).toContainText('The format "bank" was saved.');
  await expect(notice(page)).toBeInViewport();
  const saved = page.getByRole('article', { name: 'bank' });
  await saved.getByText('Edit').click();
  await saved.getByRole('button', { name: 'Save' }).click();
  await expect(notice(page)).toContainText('The format "bank" was saved.');
  await saved.getByRole('button', { name: 'Delete bank' }).click();
  await page.getByRole('button', { name: 'Delete saved format' }).click();
  await expect(notice(page)).toContainText('The saved format was deleted.');

  await upload(page, 'payments.csv', SAMPLE);
  await expect(notice(page)).toBeEmpty();
  await page.getByRole('button', { name: 'Delete file…' }).click();
  await page.getByRole('button', { name: 'Delete file', exact: true }).click();
  await expect(page).toHaveURL(userPage);
  await expect(notice(page)).toContainText('payments.csv was deleted.');

  await page.getByRole('button', { name: 'Delete user…' }).click();
  await page.getByRole('button', { name: 'Delete user', exact: true }).click();
  await expect(notice(page)).toContainText(`${user.name} B was deleted, with all files.`);
  await expect(page).toHaveURL(/\/users$/);
});

test('identifiers and links are copied @javascript', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await live(page);
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  const details = page.getByRole('region', { name: 'Details' });
  const copy = details.locator('[data-link]');
  await copy.dblclick();
  await expect.poll(copied).toBe(page.url());
  await expect(copy).toHaveText('Copy link');
  await details.getByRole('button', { name: "Copy the job's ID" }).click();
  await expect.poll(copied).toBe(page.url().split('/').pop());
  await details.getByRole('button', { name: 'Copy the SHA-256' }).click();
  await expect.poll(copied).toMatch(/^[0-9a-f]{64}$/);
});
