import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, createUser, live } from './batchline';

const LIGHT = 'rgb(246, 247, 249)';
const DARK = 'rgb(14, 17, 22)';

const GROUND = 'background-color';

const body = (page: Page) => page.locator('body');
const choice = (page: Page, name: string) => page.getByRole('group', { name: 'Theme' }).getByRole('button', { name });

test('the theme is chosen in the foot, and stays on every page', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto('/users');
  await expect(body(page)).toHaveCSS(GROUND, LIGHT);
  await choice(page, 'Dark').click();
  await expect(choice(page, 'Dark')).toHaveAttribute('aria-pressed', 'true');
  await expect(choice(page, 'System')).toHaveAttribute('aria-pressed', 'false');
  await expect(page).toHaveURL(/\/users$/);
  await expect(body(page)).toHaveCSS(GROUND, DARK);
  for (const path of ['/users?q=nobody', '/', '/formats', '/nowhere']) {
    await page.goto(path);
    await expect(body(page), path).toHaveCSS(GROUND, DARK);
  }
  // The server sets it, so that nothing flashes.
  expect(await (await page.request.get('/users')).text()).toContain('content="dark"');
  await page.emulateMedia({ colorScheme: 'dark' });
  await choice(page, 'Light').click();
  await expect(choice(page, 'Light')).toHaveAttribute('aria-pressed', 'true');
  await expect(body(page)).toHaveCSS(GROUND, LIGHT);
  await choice(page, 'System').click();
  await expect(choice(page, 'System')).toHaveAttribute('aria-pressed', 'true');
  await expect(body(page)).toHaveCSS(GROUND, DARK);
  await page.emulateMedia({ colorScheme: 'light' });
  await expect(body(page)).toHaveCSS(GROUND, LIGHT);
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
  await expect(body(page)).toHaveCSS(GROUND, DARK);
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
