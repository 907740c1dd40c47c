import { expect, test } from '@playwright/test';
import { complaints, createUser, live } from './batchline';

// The browser opens and closes dialogs itself, and warns if a script has already done so.
test('a dialog opens and closes without a warning of the browser @javascript', async ({ page }) => {
  const found = complaints(page, (message) => ['error', 'warning'].includes(message.type()));
  await createUser(page);
  await page.reload();
  await live(page);

  const open = page.getByRole('button', { name: 'Delete user…' });
  const dialog = page.getByRole('dialog', { name: 'Delete this user?' });
  for (let round = 0; round < 2; round++) {
    await open.click();
    await expect(dialog).toBeVisible();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await expect(dialog).toBeHidden();
  }
  await open.click();
  await expect(dialog).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  expect(found()).toEqual([]);
});
