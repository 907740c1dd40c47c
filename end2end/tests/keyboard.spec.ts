import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, start, upload } from './batchline';

// The shortcuts are there once the page has been taken over.
const live = (page: Page) => expect(page.getByRole('button', { name: 'Shortcuts' })).toBeVisible();

test('the keys of the sheet do what it says @javascript', async ({ page }) => {
  await createUser(page);
  await live(page);
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('u');
  await chooser;
  const rows = Array.from({ length: 30 }, (_, row) => `R${row},${row % 3 ? 1 : 'x'},2024-01-01`).join('\n');
  await upload(page, 'keys.csv', `transaction_id,amount,date\n${rows}\n`);
  await live(page);
  await page.keyboard.press('s');
  await completed(page);

  // A key can only press what is there.
  await expect(page.getByText('1–20 of 30 rows')).toBeVisible();
  await page.keyboard.press('j');
  await expect(page.getByText('21–30 of 30 rows')).toBeVisible();
  await page.keyboard.press('k');
  await expect(page.getByText('1–20 of 30 rows')).toBeVisible();
  await page.keyboard.press('3');
  await expect(page.getByText('1–10 of 10 rows')).toBeVisible();
  await page.keyboard.press('/');
  const search = page.getByRole('searchbox');
  await expect(search).toBeFocused();
  // In a field a key is a letter.
  await page.keyboard.type('j1');
  await expect(search).toHaveValue('j1');
  await page.keyboard.press('Tab');
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('g');
  await expect(page.getByRole('spinbutton', { name: 'Row number' })).toBeFocused();
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('b');
  await expect(page).toHaveURL(/\/users\/\d+$/);
  // Among several files no key starts one.
  await upload(page, 'second.csv', SAMPLE);
  await live(page);
  await expect(page.getByRole('button', { name: 'Start processing' })).toHaveAttribute('aria-keyshortcuts', 's');
  await page.keyboard.press('b');
  await expect(page).toHaveURL(/\/users\/\d+$/);
  await live(page);
  await expect(page.getByRole('button', { name: 'Start second.csv' })).not.toHaveAttribute('aria-keyshortcuts');
  await page.keyboard.press('h');
  await expect(page).toHaveURL(/\/$/);
});

test('the sheet explains the keys and turns them off @javascript', async ({ page }) => {
  await createUser(page);
  await live(page);
  await page.keyboard.press('?');
  const sheet = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await expect(sheet).toBeVisible();
  await sheet.getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await expect(sheet).toBeHidden();
  await page.keyboard.press('h');
  // Nothing but the key that leads back to the setting, also after a reload.
  await page.reload();
  await live(page);
  await page.keyboard.press('h');
  await page.keyboard.press('?');
  await expect(sheet.getByRole('checkbox')).not.toBeChecked();
  await expect(page).toHaveURL(/\/users\/\d+$/);
});

test('a file is uploaded, started and read by keyboard alone', async ({ page }) => {
  await createUser(page);
  // What a file chooser gives can't be typed; all else can.
  await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'k.csv', mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) });
  await page.getByRole('button', { name: 'Upload only' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'k.csv' })).toBeVisible();
  const reach = async (name: string) => {
    for (let presses = 0; presses < 60; presses++) {
      await page.keyboard.press('Tab');
      const focused = await page.evaluate(() => document.activeElement?.textContent?.trim());
      if (focused?.startsWith(name)) return;
    }
    throw new Error(`"${name}" can't be reached`);
  };
  await reach('Start processing');
  await page.keyboard.press('Enter');
  await completed(page);
  await reach('Suspicious');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/filter=suspicious/);
  await expect(page.getByText('1–1 of 1 row')).toBeVisible();
});
