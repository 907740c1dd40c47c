import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, longFile, start, upload } from './batchline';

async function expectNoMarkup(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  expect(await page.locator('body').innerText()).not.toContain('<');
}

test('no page of a running job shows markup @large', async ({ page }) => {
  await createUser(page);
  const user = page.url();
  await upload(page, 'long.csv', longFile().content);
  const job = page.url();
  await expectNoMarkup(page);
  await start(page);
  // The page shows it before the server does.
  await expect(async () =>
    expect(await (await page.request.get(job)).text()).toContain('http-equiv="refresh"'),
  ).toPass();
  const running = [job, user, `${job}?ask=cancel`, `${job}?filter=invalid`];
  await Promise.all(
    running.map(async (url) => {
      const tab = await page.context().newPage();
      // Later, the page may have reloaded itself.
      const response = await tab.goto(url, { waitUntil: 'commit' });
      // The job was running when the page was rendered.
      expect(await response?.text()).toContain('http-equiv="refresh"');
      await expectNoMarkup(tab);
    }),
  );
  // The page updates itself. A navigation from here could be aborted by that.
  await completed(page);
  await expectNoMarkup(page);
});

test('no other page shows markup', async ({ page }) => {
  await createUser(page);
  const user = page.url();
  await expectNoMarkup(page);
  await upload(page, 'broken.csv', 'id,value\n1,2\n');
  await start(page);
  await expect(page.getByText('Failed', { exact: true })).toBeVisible();
  await expectNoMarkup(page);
  await page.goto(user);
  await upload(page, 'payments.csv', SAMPLE);
  await start(page);
  await completed(page);
  await expectNoMarkup(page);
  for (const url of [user, '/', '/users', '/formats', '/nowhere']) {
    await page.goto(url);
    await expectNoMarkup(page);
  }
});
