import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, listed, live, start, upload } from './batchline';

const sheet = (page: Page) => page.getByRole('dialog', { name: 'Keyboard shortcuts' });

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

  // A key can only trigger what is on the page.
  await expect(page.getByText('1–20 of 30 rows')).toBeVisible();
  await page.keyboard.press(']');
  await expect(page.getByText('21–30 of 30 rows')).toBeVisible();
  await page.keyboard.press('[');
  await expect(page.getByText('1–20 of 30 rows')).toBeVisible();
  await page.keyboard.press('3');
  await expect(page.getByText('1–10 of 10 rows')).toBeVisible();
  await page.keyboard.press('/');
  const search = page.getByRole('searchbox');
  await expect(search).toBeFocused();
  // In a field a key types a letter.
  await page.keyboard.type('j1');
  await expect(search).toHaveValue('j1');
  await page.keyboard.press('Tab');
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('g');
  await expect(page.getByRole('spinbutton', { name: 'Row number' })).toBeFocused();
  await page.getByRole('heading', { level: 1 }).click();
  await page.keyboard.press('b');
  await expect(page).toHaveURL(/\/users\/\d+$/);
  // With several files, no key starts one.
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
  await expect(sheet(page)).toBeVisible();
  await sheet(page).getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await expect(sheet(page)).toBeHidden();
  await page.keyboard.press('h');
  // Only the key that opens the setting still works, even after a reload.
  await page.reload();
  await live(page);
  await page.keyboard.press('h');
  await page.keyboard.press('?');
  await expect(sheet(page).getByRole('checkbox')).not.toBeChecked();
  await expect(page).toHaveURL(/\/users\/\d+$/);
});

test('j and k go through the rows, and Enter opens one @javascript', async ({ page }) => {
  await createUser(page);
  const user = page.url();
  const rows = Array.from({ length: 30 }, (_, row) => `R${row},1,2024-01-01`).join('\n');
  await upload(page, 'rows.csv', `transaction_id,amount,date\n${rows}\n`);
  await live(page);
  await page.keyboard.press('s');
  await completed(page);
  const job = page.url();
  const row = (number: string) =>
    page.getByRole('table', { name: 'Transactions' }).getByRole('link', { name: number, exact: true });
  await expect(row('1')).toBeVisible();
  await page.keyboard.press('j');
  await expect(row('1')).toBeFocused();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await expect(row('2')).toBeFocused();
  await page.keyboard.press('Enter');
  // The drawer supports the same keys.
  await expect(page.getByRole('dialog', { name: 'Row 2' })).toBeVisible();
  await page.keyboard.press('j');
  await expect(page.getByRole('dialog', { name: 'Row 3' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(row('3')).toBeFocused();
  await page.keyboard.press(']');
  await expect(page.getByText('21–30 of 30 rows')).toBeVisible();
  await page.keyboard.press('j');
  await expect(row('21')).toBeFocused();
  await page.keyboard.press('k');
  await expect(row('21')).toBeFocused();

  // The same in a list of jobs.
  await page.goto(user);
  await upload(page, 'second.csv', SAMPLE);
  await page.goto(user);
  await live(page);
  await expect(listed(page)).toHaveCount(2);
  await page.keyboard.press('j');
  await expect(page.getByRole('link', { name: 'second.csv' })).toBeFocused();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(job);
});

test('with single keys turned off, the drawer has none either @javascript', async ({ page }) => {
  await createUser(page);
  await upload(page, 'rows.csv', SAMPLE);
  await live(page);
  await start(page);
  await completed(page);
  await page.keyboard.press('?');
  await sheet(page).getByRole('checkbox').uncheck();
  await page.keyboard.press('Escape');
  await page.locator('#row-2').getByRole('cell').last().click();
  await expect(page.getByRole('dialog', { name: 'Row 2' })).toBeVisible();
  await page.keyboard.press('j');
  await page.keyboard.press('ArrowDown');
  // One row further, not two.
  await expect(page.getByRole('dialog', { name: 'Row 3' })).toBeVisible();
  await page.keyboard.press('k');
  await page.keyboard.press('ArrowUp');
  await expect(page.getByRole('dialog', { name: 'Row 2' })).toBeVisible();
});

test('the sheet shows the keys that the page has @javascript', async ({ page }) => {
  await createUser(page);
  await live(page);
  const keys = () => sheet(page).locator('dt:visible').allTextContents();
  await page.keyboard.press('?');
  await expect(sheet(page)).toBeVisible();
  expect(await keys()).toEqual(['?', 'Ctrl K', 'h', 'b', 'u']);
  await page.keyboard.press('Escape');
  await upload(page, 'rows.csv', SAMPLE);
  await live(page);
  await start(page);
  await completed(page);
  await page.getByRole('button', { name: 'Shortcuts' }).click();
  // The rows may arrive while it is open.
  await expect.poll(keys).toEqual(['?', 'Ctrl K', 'h', 'b', '/', 'g', '1 – 4', 'j k']);
});

test('a file is uploaded, started and read by keyboard alone', async ({ page }) => {
  await createUser(page);
  // The file can't be typed into the file chooser. Everything else works with the keyboard.
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles({ name: 'k.csv', mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) });
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
