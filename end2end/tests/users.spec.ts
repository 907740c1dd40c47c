import { expect, test } from '@playwright/test';
import { SAMPLE, createUser, listed, live, refreshed, somebody } from './batchline';

test('users are listed newest first', async ({ page }) => {
  const older = await createUser(page);
  const newer = await createUser(page);
  await page.goto('/users');
  const names = await page.getByRole('list', { name: 'Users' }).getByRole('link').allTextContents();
  expect(names).toContain(older.name);
  expect(names.indexOf(newer.name)).toBeLessThan(names.indexOf(older.name));
});

test('an email address is taken whatever its case', async ({ page }) => {
  const user = await createUser(page);
  await page.goto('/users');
  await page.getByLabel('Name').fill('Somebody else');
  await page.getByLabel('Email').fill(user.email.toUpperCase());
  await page.getByRole('button', { name: 'Create user' }).click();

  const email = page.getByLabel('Email');
  await expect(email).toHaveAccessibleDescription('That email address is already in use.');
  await expect(email).toHaveAttribute('aria-invalid', 'true');
  await expect(email).toBeFocused();
  // The typed values are still there.
  await expect(email).toHaveValue(user.email.toUpperCase());
  await expect(page.getByLabel('Name')).toHaveValue('Somebody else');
  await expect(page).toHaveTitle('Error: Users · Batchline');
});

test('an invalid email address is refused beside its field', async ({ page }) => {
  await page.goto('/users');
  await page.getByLabel('Name').fill('Ann');
  // The browser accepts this; only the server requires a dot.
  await page.getByLabel('Email').fill('ann@example');
  await page.getByRole('button', { name: 'Create user' }).click();
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription('Enter an email address like name@example.com.');
  await expect(page.getByLabel('Name')).toHaveValue('Ann');
});

test('name and email can be changed', async ({ page }) => {
  await createUser(page);
  const changed = somebody();
  await page.getByText('Edit name and email').click();
  await page.getByLabel('Name').fill(changed.name);
  await page.getByLabel('Email').fill(changed.email);
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { level: 1, name: changed.name })).toBeVisible();
  await page.reload();
  await expect(page.getByText(changed.email)).toBeVisible();
});

test('a refused change has a sentence beside its field', async ({ page }) => {
  const other = await createUser(page);
  const user = await createUser(page);
  await page.getByText('Edit name and email').click();
  await page.getByLabel('Email').fill(other.email);
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription('That email address is already in use.');
  await expect(page.getByRole('heading', { level: 1, name: user.name })).toBeVisible();
});

test('a user is found by name or email, among pages of them', async ({ page, request }) => {
  const id = Date.now().toString(36);
  for (let number = 1; number <= 21; number++) {
    const data = { name: `Search ${id} ${number}`, email: `search-${id}-${number}@example.com` };
    expect((await request.post('/api/users', { data })).status()).toBe(201);
  }
  await page.goto('/users');
  const users = page.getByRole('list', { name: 'Users' }).getByRole('listitem');
  await expect(users).toHaveCount(20);
  await page.getByRole('searchbox', { name: 'Search users' }).fill(`SEARCH ${id}`);
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByText('1–20 of 21 users')).toBeVisible();
  await page.getByRole('link', { name: 'Next' }).click();
  await expect(users).toHaveCount(1);
  await expect(users).toContainText(`Search ${id} 1`);
  await page.goto(`/users?q=search-${id}-7@`);
  await expect(users).toHaveCount(1);
  await page.goto(`/users?q=${id}-nobody`);
  await page.getByRole('link', { name: 'Show all users' }).click();
  await expect(users).toHaveCount(20);
  await page.goto('/users?page=abc');
  await expect(page.getByText('Page must be 1 or higher.')).toBeVisible();
  await expect(users).toHaveCount(20);
  // Creating a user doesn't require scrolling past all others.
  const { y } = (await page.getByRole('button', { name: 'Create user' }).boundingBox())!;
  expect(y).toBeLessThan(844);
});

test('many files come in pages', async ({ page, request }) => {
  await createUser(page);
  const userId = page.url().match(/\/users\/(\d+)/)![1];
  for (let number = 1; number <= 60; number++) {
    const file = { name: `file-${number}.csv`, mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) };
    const answer = await request.post(`/api/jobs?user_id=${userId}`, { multipart: { file } });
    expect(answer.status()).toBe(201);
  }
  await page.reload();
  const files = listed(page);
  await expect(page.getByRole('heading', { name: 'Files 60' })).toBeVisible();
  await expect(files).toHaveCount(50);
  await expect(files.first()).toContainText('file-60.csv');
  await page.getByRole('link', { name: 'Next' }).click();
  await expect(page).toHaveURL(/\?page=2/);
  await expect(page.getByText('51–60 of 60 files')).toBeVisible();
  await expect(files).toHaveCount(10);
  await expect(files.last()).toContainText('file-1.csv');
  await page.goBack();
  await expect(files).toHaveCount(50);
  // They are printed, too.
  await page.emulateMedia({ media: 'print' });
  await expect(files.first()).toBeVisible();
  await page.emulateMedia({ media: null });
  // The last page is shown if the requested one doesn't exist.
  await page.goto(`/users/${userId}?page=9`);
  await expect(files).toHaveCount(10);
});

test('deleting a user asks first', async ({ page }) => {
  const user = await createUser(page);
  const url = page.url();
  const dialog = page.getByRole('dialog', { name: 'Delete this user?' });

  await page.getByRole('button', { name: 'Delete user…' }).click();
  await expect(dialog).toBeVisible();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(dialog).toBeHidden();

  await page.getByRole('button', { name: 'Delete user…' }).click();
  await dialog.getByRole('button', { name: 'Delete user' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Users' })).toBeVisible();
  await expect(page.getByText(user.email)).toHaveCount(0);

  const gone = await page.goto(url);
  expect(gone?.status()).toBe(404);
  await expect(page.getByRole('heading', { level: 1, name: 'User not found' })).toBeVisible();
  await page.getByRole('link', { name: 'Back to all jobs' }).click();
  await expect(page.getByRole('navigation', { name: 'Sections' })).toBeVisible();
});

test('an address without a page says so and leads home', async ({ page }) => {
  for (const path of ['/nowhere', '/users/abc', '/jobs/abc', '/jobs/999999999']) {
    const response = await page.goto(path);
    expect(response?.status(), path).toBe(404);
    await expect(page.getByRole('heading', { level: 1, name: /not found$/ })).toBeVisible();
    await expect(page.getByRole('link', { name: 'Back to all jobs' })).toBeVisible();
  }
});

test('a refused demonstration says why, also when the page is fetched again', async ({
  page,
  request,
  javaScriptEnabled,
}) => {
  await createUser(page);
  const id = page.url().match(/\/users\/(\d+)/)![1];
  await request.patch(`/api/users/${id}/quotas`, { data: { bytes: 1 } });
  await page.getByRole('button', { name: 'Try it with 200,000 sample rows' }).click();
  const reason = page.getByRole('alert').filter({ hasText: 'quota' });
  await expect(reason).toBeVisible();
  if (javaScriptEnabled) {
    await live(page);
    await refreshed(page);
  }
  await expect(reason).toBeVisible();
  await expect(page).toHaveTitle(/^Error: /);
});
