// Two-step sign-in, and being asked again before a sensitive change. Uses the server that requires signing in.

import { createHmac } from 'node:crypto';
import { expect, test, type Page } from '@playwright/test';
import { Client } from 'pg';
import { complaints, expectAccessible, signIn, somebody } from './batchline';

const baseURL = process.env.BATCHLINE_ACCOUNTS_URL;
const admin = {
  email: process.env.BATCHLINE_ADMIN_EMAIL ?? '',
  password: process.env.BATCHLINE_ADMIN_PASSWORD ?? '',
};

test.use({ baseURL, contextOptions: { reducedMotion: 'reduce' } });
test.beforeAll(() => {
  if (!baseURL) throw new Error('BATCHLINE_ACCOUNTS_URL is not set: run the tests by script/test');
});

// The code that an app shows, some steps of 30 seconds ahead (RFC 6238).
function code(key: string, stepsAhead: number) {
  const letters = [...key.replaceAll(' ', '')].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter));
  const bits = letters.map((value) => value.toString(2).padStart(5, '0')).join('');
  const bytes = Buffer.from(bits.match(/.{8}/g)!.map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + stepsAhead));
  const digest = createHmac('sha1', bytes).update(step).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

// Makes the sessions of a user as old as after ten minutes.
async function waitTenMinutes(email: string) {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  const sql = `update sessions set authenticated_at = now() - interval '11 minutes'
               from users where users.id = user_id and email = $1`;
  await client.query(sql, [email]);
  await client.end();
}

test('a user sets up two-step sign-in and is asked again before a sensitive change', async ({
  page,
  browser,
  javaScriptEnabled,
}) => {
  const errors = complaints(
    page,
    (message) => message.type() === 'error' && !/status of 4(01|22)/.test(message.text()),
  );
  const accessible = async (what: string) => {
    if (javaScriptEnabled !== false) await expectAccessible(page, what);
  };
  const user = somebody();
  const password = `a phrase of ${user.email.length} odd words for ${Date.now()}`;
  const context = await browser.newContext({ baseURL, javaScriptEnabled });
  const office = await context.newPage();
  await office.goto('/accounts');
  await signIn(office, admin.email, admin.password);
  await office.getByLabel('Name').fill(user.name);
  await office.getByLabel('Email').fill(user.email);
  await office.getByRole('button', { name: 'Create user' }).click();
  await page.goto((await office.locator('#password-link').textContent())!.trim());
  await page.getByLabel('New password').fill(password);
  await page.getByRole('button', { name: 'Set password' }).click();
  await signIn(page, user.email, password);
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
  const own = page.url();

  await page.goto('/account');
  await page.getByRole('button', { name: 'Set up two-step sign-in' }).click();
  await expect(page.getByRole('img', { name: 'QR code of the key' })).toBeVisible();
  await accessible('a key');
  const key = (await page.locator('#second-factor-key').textContent())!.trim();
  await page.getByLabel('The code that your app shows now').fill('000000');
  await page.getByRole('button', { name: 'Turn on' }).click();
  await expect(page.getByLabel('The code that your app shows now')).toHaveAccessibleDescription(
    /isn't the current code/,
  );
  await page.getByLabel('The code that your app shows now').fill(code(key, 0));
  await page.getByRole('button', { name: 'Turn on' }).click();
  await expect(page.getByText('Two-step sign-in is on.')).toBeVisible();
  await accessible('recovery codes');
  const codes = page.getByRole('list', { name: 'Codes' }).getByRole('listitem');
  await expect(codes).toHaveCount(10);
  const recovery = await codes.allTextContents();

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto('/account');
  await signIn(page, user.email, password);
  await expect(page.getByRole('heading', { level: 1, name: 'Enter your code' })).toBeVisible();
  await accessible('entering a code');
  await page.getByLabel('Code from your app').fill('000000');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByLabel('Code from your app')).toHaveAccessibleDescription(/isn't right, or was used before/);
  await page.getByLabel('Code from your app').fill(code(key, 1));
  await page.getByRole('button', { name: 'Sign in' }).click();
  // It leads to the page that was requested.
  await expect(page.getByRole('heading', { level: 1, name: 'Account' })).toBeVisible();
  await expect(page.getByText('10 of 10 recovery codes left')).toBeVisible();

  // What was typed survives the question.
  await waitTenMinutes(user.email);
  await page.getByText('Create a token').click();
  await page.getByLabel('Name').fill('nightly "import"');
  await page.getByLabel('Valid for').selectOption('30 days');
  await page.getByRole('button', { name: 'Create token' }).click();
  await expect(page.getByRole('heading', { level: 1, name: "Confirm it's you" })).toBeVisible();
  await accessible('being asked again');
  await page.getByLabel('Password').fill('not the password');
  await page.getByLabel('Code from your app').fill(recovery[0].trim());
  await page.getByRole('button', { name: 'Confirm' }).click();
  await expect(page.getByLabel('Password')).toHaveAccessibleDescription("The password or the code isn't right.");
  await page.getByLabel('Password').fill(password);
  await page.getByLabel('Code from your app').fill(recovery[0].trim());
  await page.getByRole('button', { name: 'Confirm' }).click();
  await expect(page.getByText('The token "nightly "import"" is created.')).toBeVisible();
  await expect(page.getByText('9 of 10 recovery codes left')).toBeVisible();
  await accessible('an account with two steps');

  // An admin helps somebody who has lost everything.
  await office.goto(own);
  await office.getByRole('button', { name: 'Remove second factor…' }).click();
  const dialog = office.getByRole('dialog', { name: 'Remove the second factor?' });
  await dialog.getByRole('button', { name: 'Remove second factor' }).click();
  await expect(office.locator('#notice')).toContainText('The second factor is removed.');
  await page.goto('/account');
  await signIn(page, user.email, password);
  await expect(page.getByText('Off. With it, signing in needs')).toBeVisible();
  expect(errors()).toEqual([]);
});
