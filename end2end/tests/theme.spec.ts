import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, createUser, live } from './batchline';

const LIGHT = 'rgb(246, 247, 249)';
const DARK = 'rgb(14, 17, 22)';

const ground = (page: Page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const choice = (page: Page, name: string) => page.getByRole('group', { name: 'Theme' }).getByRole('button', { name });

test('the theme is chosen in the foot, and stays on every page', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto('/users');
  expect(await ground(page)).toBe(LIGHT);
  await choice(page, 'Dark').click();
  await expect(choice(page, 'Dark')).toHaveAttribute('aria-pressed', 'true');
  await expect(choice(page, 'System')).toHaveAttribute('aria-pressed', 'false');
  await expect(page).toHaveURL(/\/users$/);
  expect(await ground(page)).toBe(DARK);
  for (const path of ['/users?q=nobody', '/', '/formats', '/nowhere']) {
    await page.goto(path);
    expect(await ground(page), path).toBe(DARK);
  }
  // The server sets it, so that nothing flashes.
  expect(await (await page.request.get('/users')).text()).toContain('content="dark"');
  await page.emulateMedia({ colorScheme: 'dark' });
  await choice(page, 'Light').click();
  await expect(choice(page, 'Light')).toHaveAttribute('aria-pressed', 'true');
  expect(await ground(page)).toBe(LIGHT);
  await choice(page, 'System').click();
  await expect(choice(page, 'System')).toHaveAttribute('aria-pressed', 'true');
  expect(await ground(page)).toBe(DARK);
  await page.emulateMedia({ colorScheme: 'light' });
  expect(await ground(page)).toBe(LIGHT);
});

test('a file that is chosen stays when the theme changes @javascript', async ({ page }) => {
  await createUser(page);
  await live(page);
  const file = { name: 'payments.csv', mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) };
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await expect(page.getByRole('region', { name: 'payments.csv' })).toContainText('All 4 rows are valid.');
  await choice(page, 'Dark').click();
  await expect(choice(page, 'Dark')).toHaveAttribute('aria-pressed', 'true');
  await expect(choice(page, 'Dark')).toBeFocused();
  expect(await ground(page)).toBe(DARK);
  await expect(page.getByRole('region', { name: 'payments.csv' })).toContainText('All 4 rows are valid.');
});

test('both addresses have an icon @once', async ({ request }) => {
  for (const address of ['', process.env.BATCHLINE_API_URL]) {
    const icon = await request.get(`${address}/favicon.ico`);
    expect(icon.status()).toBe(200);
    expect(icon.headers()['content-type']).toMatch(/icon/);
    // The magic number of Windows icons.
    expect([...(await icon.body()).subarray(0, 4)]).toEqual([0, 0, 1, 0]);
  }
});
