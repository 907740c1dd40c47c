import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, listed, live, start, upload } from './batchline';

// Reloading the page removes this.
const mark = (page: Page) => page.evaluate(() => Object.assign(window, { stayed: true }));
const stayed = (page: Page) => page.evaluate(() => 'stayed' in window);

const ROWS = Array.from({ length: 60 }, (_, row) => `R${row},${row % 3 ? 1 : 'x'},2024-01-01,${'long '.repeat(50)}`);
const FILE = `transaction_id,amount,date,description\n${ROWS.join('\n')}\n`;

test('rows are filtered, also when going back, without reloading the page @javascript', async ({ page }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await live(page);
  await mark(page);
  await start(page);
  await completed(page);
  const filters = page.getByRole('navigation', { name: 'Filter by verdict' });
  await expect(filters.getByRole('link', { name: 'All 60' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'Problems' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Download all rows (60)' })).toBeVisible();

  await filters.getByRole('link', { name: 'Invalid 20' }).click();
  await expect(page.getByText('1–20 of 20 rows')).toBeVisible();
  await page.getByRole('searchbox').fill('R30');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\?filter=invalid&q=R30&size=20#rows$/);
  await expect(page.getByText('1–1 of 1 row')).toBeVisible();
  await expect(page.getByRole('searchbox')).toBeFocused();

  await page.goBack();
  await expect(page.getByText('1–20 of 20 rows')).toBeVisible();
  await expect(page.getByRole('searchbox')).toHaveValue('');
  await page.goBack();
  await expect(page.getByText('1–20 of 60 rows')).toBeVisible();
  await page.goForward();
  await expect(page.getByText('1–20 of 20 rows')).toBeVisible();
  await page.getByRole('spinbutton', { name: 'Row number' }).fill('55');
  await page.getByRole('button', { name: 'Go to row' }).click();
  await expect(page.locator('tr[aria-current]')).toBeInViewport();
  await expect(page.locator('tr[aria-current]')).toContainText('R54');
  expect(await stayed(page)).toBe(true);

  // The table of contents of a page leads to the same page.
  await page.evaluate(() => (location.hash = 'details'));
  expect(await stayed(page)).toBe(true);
});

test('typed text and opened elements stay while the page follows its job @javascript', async ({ page, context }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await live(page);
  await start(page);
  await completed(page);
  await expect(page.getByText('1–20 of 60 rows')).toBeVisible();
  await page.locator('details.long-text').first().locator('summary').click();
  await page.getByRole('combobox', { name: 'Rows per page' }).selectOption('100 rows');
  await page.getByRole('searchbox').fill('half a wo');
  await mark(page);

  // Returning to a tab updates its page.
  const fetched = page.waitForResponse((response) => new URL(response.url()).pathname === new URL(page.url()).pathname);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  await (await fetched).finished();
  await expect(page.getByRole('searchbox')).toHaveValue('half a wo');
  await expect(page.getByRole('searchbox')).toBeFocused();
  await expect(page.getByRole('combobox', { name: 'Rows per page' })).toHaveValue('100');
  await expect(page.locator('details.long-text').first()).toHaveAttribute('open');
  expect(await stayed(page)).toBe(true);

  // A user's page also follows changes from another tab.
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').last().click();
  await live(page);
  await mark(page);
  const other = await context.newPage();
  await other.goto(page.url());
  await upload(other, 'second.csv', SAMPLE);
  await start(other);
  await expect(page.getByRole('link', { name: 'second.csv' })).toBeVisible();
  await expect(listed(page).getByText('Completed')).toHaveCount(2);
  await expect(page.locator('#what-goes')).toContainText('2 files');
  expect(await stayed(page)).toBe(true);
});

test('an error is shown once and stays in no address @javascript', async ({ page }) => {
  const user = await createUser(page);
  await page.goto('/users');
  await page.getByLabel('Name').fill('Somebody else');
  await page.getByLabel('Email').fill(user.email);
  await page.getByRole('button', { name: 'Create user' }).click();
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription('That email address is already in use.');
  await expect(page).toHaveURL(/\/users$/);
  await page.reload();
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription('');
});

test('a form that is submitted twice is sent once @javascript', async ({ page }) => {
  await page.goto('/users');
  await live(page);
  let posts = 0;
  await page.route('**/rpc/create-user', async (route) => {
    posts += 1;
    await route.continue();
  });
  // Playwright doesn't observe a page that is being left.
  await page.evaluate(() =>
    addEventListener('submit', ({ submitter }) => sessionStorage.setItem('said', submitter?.textContent ?? '')),
  );
  const name = `Twice ${Date.now().toString(36)}`;
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Email').fill(`${name.replace(' ', '-')}@example.com`);
  await page.getByRole('button', { name: 'Create user' }).dblclick();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  expect(posts).toBe(1);
  expect(await page.evaluate(() => sessionStorage.getItem('said'))).toBe('Creating…');
  // After going back, the page is as before.
  await page.goBack();
  await expect(page.getByRole('button', { name: 'Create user' })).toBeVisible();
});
