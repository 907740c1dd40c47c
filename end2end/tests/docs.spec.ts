// The API reference: reading and trying it out, accessibility in both themes, on a phone and without JavaScript.

import { expect, test, type Locator, type Page } from '@playwright/test';
import { SAMPLE, complaints, expectAccessible, somebody } from './batchline';

const operation = async (page: Page, id: string) => {
  const operation = page.locator(`#operations-${id}`);
  await operation.getByRole('button', { expanded: false }).first().click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  return operation;
};

// Returns the response as shown by Swagger UI.
const execute = async (operation: Locator) => {
  await operation.getByRole('button', { name: 'Execute' }).click();
  const answer = operation.locator('.live-responses-table .response').first();
  await expect(answer).toBeVisible();
  return answer;
};

for (const [where, address] of [
  ['on the address of the pages', '/api/docs'],
  ['on its own address', `${process.env.BATCHLINE_API_URL ?? 'http://127.0.0.1:8000'}/docs`],
]) {
  test(`the reference uploads, filters and pages ${where} @javascript @once`, async ({ page }) => {
    const refused = complaints(page);
    await page.goto(address);
    await expect(page).toHaveTitle('API · Batchline');
    await expect(page.getByRole('heading', { level: 1, name: 'Batchline API' })).toBeVisible();
    await expect(page.getByText('Explore')).toHaveCount(0);

    const create = await operation(page, 'users-users_create');
    await create.getByRole('textbox', { name: 'Request body' }).fill(JSON.stringify(somebody()));
    const user = JSON.parse((await (await execute(create)).locator('.highlight-code pre').first().textContent())!);

    const upload = await operation(page, 'jobs-jobs_upload');
    await upload.getByRole('textbox', { name: 'user_id' }).fill(`${user.id}`);
    await upload.locator('input[type=file]').setInputFiles({
      name: 'payments.csv',
      mimeType: 'text/csv',
      buffer: Buffer.from(SAMPLE.replace('75.50', 'x').replace('1000.00', 'y')),
    });
    const uploaded = await execute(upload);
    await expect(uploaded).toContainText('201');
    const job = JSON.parse((await uploaded.locator('.highlight-code pre').first().textContent())!);

    const start = await operation(page, 'jobs-jobs_start');
    await start.getByRole('textbox', { name: 'job_id' }).fill(`${job.id}`);
    await start.getByRole('textbox', { name: 'Request body' }).fill('{}');
    await expect(await execute(start)).toContainText('202');

    const rows = await operation(page, 'jobs-jobs_list');
    await rows.getByRole('textbox', { name: 'job_id' }).fill(`${job.id}`);
    await rows.getByRole('combobox', { name: 'filter' }).selectOption('invalid');
    await rows.getByRole('textbox', { name: 'page' }).fill('2');
    await rows.getByRole('textbox', { name: 'size' }).fill('1');
    await expect(async () => {
      await expect(await execute(rows)).toContainText('"row_number": 4', { timeout: 1000 });
    }).toPass();
    expect(refused()).toEqual([]);
    if (address.startsWith('/')) await expectAccessible(page, 'the reference with operations that were tried out');
  });
}

test('the reference and the pages about problems are accessible, and lead back @javascript @once', async ({ page }) => {
  await page.goto('/api/docs');
  await expect(page.getByRole('button', { name: 'Authorize' })).toBeVisible();
  await expectAccessible(page, 'the reference');
  await page.getByRole('link', { name: 'Problems' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Problems' })).toBeVisible();
  await expectAccessible(page, 'the list of problems');
  await page.getByRole('link', { name: 'Conflict' }).click();
  await expectAccessible(page, 'a problem');
  await page.getByRole('link', { name: 'Back to Batchline' }).click();
  await expect(page).toHaveURL('/');
});

test('without JavaScript the reference lists the operations', async ({ page, javaScriptEnabled }) => {
  test.skip(javaScriptEnabled !== false);
  await page.goto('/api/docs');
  await expect(page.getByRole('listitem').filter({ hasText: 'POST /jobs Upload a file' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Back to Batchline' })).toBeVisible();
});
