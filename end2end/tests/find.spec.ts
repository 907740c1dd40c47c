import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, live, signal, somebody, upload } from './batchline';

const palette = (page: Page) => page.getByRole('dialog', { name: 'Find' });
const field = (page: Page) => palette(page).getByRole('searchbox');

test('a job, a user and a page are found from anywhere @javascript', async ({ page }) => {
  const user = await createUser(page, { ...somebody() });
  const userPage = page.url();
  const name = `march-${Date.now()}.csv`;
  await upload(page, name, SAMPLE);
  const job = page.url();
  await page.goto('/formats');
  await live(page);
  await page.keyboard.press('Control+k');
  await expect(field(page)).toBeFocused();
  await page.keyboard.type(name.slice(0, -4).toUpperCase());
  await expect(palette(page).getByText('1 job.')).toBeVisible();
  await page.keyboard.press('ArrowDown');
  const found = palette(page).getByRole('link', { name });
  await expect(found).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(job);

  // Enter chooses the first result, even before it is shown.
  await page.goto('/formats');
  await live(page);
  await page.keyboard.press('Control+k');
  await field(page).fill(name);
  await page.keyboard.press('Enter');
  await expect(palette(page)).toBeHidden();
  await expect(page).toHaveURL(job);

  await live(page);
  await page.getByRole('link', { name: 'Find', exact: true }).click();
  await field(page).fill(user.email);
  await palette(page)
    .getByRole('link', { name: `${user.name} ${user.email}` })
    .click();
  await expect(page).toHaveURL(userPage);

  await live(page);
  await page.keyboard.press('Control+k');
  await field(page).fill('supported');
  await palette(page).getByRole('link', { name: 'Supported formats' }).click();
  await expect(page).toHaveURL(/\/formats$/);
  await live(page);
  await page.keyboard.press('Control+k');
  await field(page).fill('nothing-like-it');
  await expect(palette(page).getByText('No job or user matches.')).toBeVisible();
  await expect(palette(page).getByRole('listitem')).toHaveCount(0);
  await page.keyboard.press('Escape');
  await expect(palette(page)).toBeHidden();
});

test('closing the palette also takes back what was chosen in it @javascript @once', async ({ page }) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await live(page);
  const { send: answer, sent: isAnswered } = signal();
  await page.route('**/find?q=start', async (route) => {
    await isAnswered;
    await route.continue();
  });
  await page.keyboard.press('Control+k');
  const asked = page.waitForRequest('**/find?q=start');
  await field(page).fill('start');
  await asked;
  await page.keyboard.press('Enter');
  await page.keyboard.press('Escape');
  await expect(palette(page)).toBeHidden();
  const answered = page.waitForResponse('**/find?q=start');
  answer();
  await (await answered).finished();
  await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
  await expect(page.getByText('Pending', { exact: true })).toBeVisible();
});

test('the commands of the page are found by name @javascript', async ({ page }) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await live(page);
  await page.keyboard.press('Control+k');
  await expect(palette(page).getByRole('button', { name: 'Start, pause or resume the processing' })).toBeVisible();
  await expect(palette(page).getByRole('button', { name: 'Show invalid rows' })).toBeHidden();
  await page.keyboard.type('start');
  await expect(palette(page).getByRole('listitem')).toHaveCount(1);
  await page.keyboard.press('Enter');
  await completed(page);
  await page.keyboard.press('Control+k');
  await field(page).fill('suspicious');
  await palette(page).getByRole('button', { name: 'Show suspicious rows' }).click();
  await expect(page).toHaveURL(/filter=suspicious/);
  await expect(palette(page)).toBeHidden();
  await page.keyboard.press('Control+k');
  await field(page).fill('keyboard');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible();
});

test('without a script there is a page to find things', async ({ page, javaScriptEnabled }) => {
  const user = await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  if (javaScriptEnabled) await page.goto('/find');
  else await page.getByRole('link', { name: 'Find', exact: true }).click();
  const main = page.getByRole('main');
  await main.getByRole('searchbox').fill(user.email);
  await main.getByRole('button', { name: 'Find' }).click();
  await expect(main.getByRole('link', { name: user.name })).toHaveCount(2);
  await expect(main.getByText('1 job, 1 user.')).toBeVisible();
  await main.getByRole('link', { name: 'payments.csv' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
});
