// Signing in, the account page, and what admins do for others. Uses a separate server that requires signing in:
// script/test starts it with an admin.

import { expect, test, type Browser, type Page } from '@playwright/test';
import { SAMPLE, complaints, expectAccessible, refreshed, signIn, somebody, upload } from './batchline';

const baseURL = process.env.BATCHLINE_ACCOUNTS_URL;
const admin = {
  email: process.env.BATCHLINE_ADMIN_EMAIL ?? '',
  password: process.env.BATCHLINE_ADMIN_PASSWORD ?? '',
};

test.use({ baseURL, contextOptions: { reducedMotion: 'reduce' } });
test.beforeAll(() => {
  if (!baseURL) throw new Error('BATCHLINE_ACCOUNTS_URL is not set: run the tests by script/test');
});

// A page in another person's browser.
async function anotherBrowser(browser: Browser, javaScriptEnabled: boolean) {
  const context = await browser.newContext({ baseURL, javaScriptEnabled });
  return context.newPage();
}

// Creates a user as an admin in another browser. Returns the link to set a password.
async function newUser(page: Page, user: { name: string; email: string }) {
  await page.goto('/accounts');
  await signIn(page, admin.email, admin.password);
  await expect(page.getByRole('heading', { level: 1, name: 'Users and roles' })).toBeVisible();
  await page.getByLabel('Name').fill(user.name);
  await page.getByLabel('Email').fill(user.email);
  await page.getByRole('button', { name: 'Create user' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Link to set a password' })).toBeVisible();
  return (await page.locator('#password-link').textContent())!.trim();
}

test('a new user sets a password, signs in, and looks after the account', async ({
  page,
  browser,
  javaScriptEnabled,
}) => {
  const user = somebody();
  const password = `a phrase of ${user.email.length} odd words for ${Date.now()}`;
  const office = await anotherBrowser(browser, javaScriptEnabled ?? true);
  const link = await newUser(office, user);

  await page.goto(link);
  await expect(page.getByText(user.email)).toBeVisible();
  await page.getByLabel('New password').fill('password1234');
  await page.getByRole('button', { name: 'Set password' }).click();
  await expect(page.getByLabel('New password')).toHaveAccessibleDescription(/too easy to guess/);
  await page.getByLabel('New password').fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await expect(page.getByText('Your password is set. Sign in with it.')).toBeVisible();

  await signIn(page, user.email, 'not the password');
  await expect(
    page.getByRole('alert').filter({ hasText: "The email address or the password isn't right." }),
  ).toBeVisible();
  await expect(page.getByLabel('Email')).toHaveValue(user.email);
  await expect(page).toHaveTitle('Error: Sign in · Batchline');
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  // A member's first page is their own.
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
  const own = page.url();
  await expect(page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link')).toHaveCount(0);
  await upload(page, 'payments.csv', SAMPLE);
  const job = page.url();

  await page.getByRole('link', { name: 'Account' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Account' })).toBeVisible();
  await expect(page.getByText('(this one)')).toHaveCount(1);

  // A token is shown only once.
  await page.getByText('Create a token').click();
  await page.getByLabel('Name').fill('nightly import');
  await page.getByLabel('Scope').selectOption('Read and write');
  await page.getByRole('button', { name: 'Create token' }).click();
  const token = (await page.locator('#new-token').textContent())!.trim();
  expect(token).toMatch(/^bl_[\w-]{43}$/);
  await page.goto('/account');
  await expect(page.getByText('nightly import')).toBeVisible();
  await expect(page.getByText(token)).toHaveCount(0);
  const program = await browser.newContext({ baseURL });
  const ask = () => program.request.get('/api/users', { headers: { authorization: `Bearer ${token}` } });
  expect((await ask()).status()).toBe(200);
  await page.reload();
  await page.getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('The token is revoked.')).toBeVisible();
  expect((await ask()).status()).toBe(401);

  // A session elsewhere can be ended from here.
  const elsewhere = await anotherBrowser(browser, javaScriptEnabled ?? true);
  await elsewhere.goto(job);
  await signIn(elsewhere, user.email, password);
  // Signing in leads to the page that was requested.
  await expect(elsewhere).toHaveURL(job);
  await page.goto('/account');
  await page.getByRole('button', { name: 'End', exact: true }).click();
  await expect(page.getByText('The session has ended.')).toBeVisible();
  // With JavaScript the page there notices it by its live connection.
  if (javaScriptEnabled === false) await elsewhere.goto(own);
  await expect(elsewhere.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();

  const changed = `${password} and more`;
  await page.getByLabel('Current password').fill('not the password');
  await page.getByLabel('New password').fill(changed);
  await page.getByRole('button', { name: 'Change password' }).click();
  await expect(page.getByLabel('Current password')).toHaveAccessibleDescription("That isn't your current password.");
  await page.getByLabel('Current password').fill(password);
  await page.getByLabel('New password').fill(changed);
  await page.getByRole('button', { name: 'Change password' }).click();
  await expect(page.getByText('Your password is changed.')).toBeVisible();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByText('You are signed out.')).toBeVisible();
  // Even the browser's history doesn't show the page again.
  await page.goto(job);
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
  await signIn(page, user.email, changed);
  await expect(page).toHaveURL(job);

  // The admin sees the event in the audit.
  await office.goto('/audit');
  await office.getByLabel('User').fill(user.email);
  await office.getByRole('button', { name: 'Filter' }).click();
  const event = (what: RegExp) => office.getByRole('row', { name: user.email }).filter({ hasText: what });
  await expect(event(/Upload file.*payments\.csv/)).toBeVisible();
  await expect(event(/Create API token.*bl_/)).toBeVisible();

  // The admin signs the user out everywhere.
  await office.goto(own);
  await office.getByRole('button', { name: 'Sign out everywhere…' }).click();
  const dialog = office.getByRole('dialog', { name: 'Sign out everywhere?' });
  await dialog.getByRole('button', { name: 'Sign out and revoke tokens' }).click();
  await expect(office.locator('#notice')).toContainText('The user is signed out everywhere');
  if (javaScriptEnabled === false) await page.goto(own);
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
});

test('axe finds nothing on the pages for accounts @javascript @once', async ({ page, browser }) => {
  const errors = complaints(page);
  const user = somebody();
  const link = await newUser(page, user);
  await expectAccessible(page, 'a link');
  await page.goto('/accounts');
  await expectAccessible(page, 'users and roles');
  await page.goto('/audit');
  await expectAccessible(page, 'the audit');
  await page.goto('/account');
  await page.getByText('Create a token').click();
  await page.getByLabel('Name').fill('x');
  await page.getByRole('button', { name: 'Create token' }).click();
  await expect(page.locator('#new-token')).toBeVisible();
  await expectAccessible(page, 'an account');
  await page.getByRole('link', { name: 'Users and roles' }).click();
  await page.getByRole('link', { name: user.name }).click();
  await expect(page.getByRole('button', { name: 'Create password link' })).toBeVisible();
  await expectAccessible(page, "a user's page as admins see it");
  const visitor = await anotherBrowser(browser, true);
  await visitor.goto(link);
  await expectAccessible(visitor, 'setting a password');
  await visitor.goto('/sign-in');
  await expectAccessible(visitor, 'signing in');
  expect(errors()).toEqual([]);
});

test('a page whose session has ended leads to sign in @javascript @once', async ({ page, browser }) => {
  const user = somebody();
  const password = `a phrase of odd words for ${Date.now()}`;
  const office = await anotherBrowser(browser, true);
  const link = await newUser(office, user);
  await page.goto(link);
  await page.getByLabel('New password').fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await signIn(page, user.email, password);
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
  const own = new URL(page.url()).pathname;

  // A new secret of the session may reach this page later than the server. That doesn't end the session.
  await page.getByLabel('File', { exact: true }).setInputFiles({
    name: 'payments.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(SAMPLE),
  });
  const check = page.getByRole('region', { name: 'payments.csv' });
  await expect(check).toContainText('All 4 rows are valid.');
  const isOwn = (url: URL) => url.pathname === own;
  await page.route(isOwn, (route) => route.fulfill({ status: 401, body: '' }), { times: 1 });
  const asking = page.waitForResponse(/\/users\/\d+\/session$/);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  expect((await asking).status()).toBe(204);
  await refreshed(page);
  await expect(check).toContainText('All 4 rows are valid.');

  // A page without a live connection asks now and then. While the session lasts, that changes nothing.
  const account = await page.context().newPage();
  await account.clock.install();
  const openAccount = async () => {
    await account.getByText('Create a token').click();
    await account.getByLabel('Name').fill('nightly import');
    await expect(account.locator('html[data-live]')).toBeAttached();
  };
  await account.goto('/account');
  await openAccount();
  const asked = account.waitForResponse(/\/users\/\d+\/session$/);
  await account.clock.fastForward('01:00');
  expect((await asked).status()).toBe(204);
  await expect(account.getByLabel('Name')).toHaveValue('nightly import');

  const second = await page.context().newPage();
  await second.goto('/account');
  await second.getByRole('button', { name: 'Sign out' }).click();
  await expect(second.getByText('You are signed out.')).toBeVisible();
  // The other tab notices it by its live connection.
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
  await expect(page).toHaveURL(new RegExp(`/sign-in\\?next=${encodeURIComponent(own)}$`));
  // The page without a live connection hears it from that tab.
  await expect(account).toHaveURL(/\/sign-in\?next=%2Faccount$/);

  // It also notices an end that no tab knows of.
  await signIn(account, user.email, password);
  await openAccount();
  await office.goto(own);
  await office.getByRole('button', { name: 'Sign out everywhere…' }).click();
  const dialog = office.getByRole('dialog', { name: 'Sign out everywhere?' });
  await dialog.getByRole('button', { name: 'Sign out and revoke tokens' }).click();
  await expect(office.locator('#notice')).toContainText('The user is signed out everywhere');
  await account.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })));
  await expect(account.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible();
  await expect(account).toHaveURL(/\/sign-in\?next=%2Faccount$/);
});
