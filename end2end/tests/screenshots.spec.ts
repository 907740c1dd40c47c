// Pictures of the pages for people to look at:
// SCREENSHOTS_DIR=/some/where npx playwright test screenshots --project chromium

import { expect, test } from '@playwright/test';
import { completed, createUser, start, upload } from './batchline';

const FILE = [
  'transaction_id,amount,date,description',
  'TXN001,150.00,2024-01-15,Monthly subscription',
  'TXN002,75.5,2024-01-16,Service fee',
  'TXN003,-50.00,2024-01-17,Refund',
  'TXN004,60000,2024-01-18,Product purchase',
  'TXN005,abc,2024-02-30,"A description that goes on for a while, as descriptions do when a person types them in a hurry"',
  'TXN001,1000.1234,2024-01-19,The same id again',
  ',12.00,20240120,No id',
  'TXN008,12.00,2024-01-20',
  ...Array.from({ length: 30 }, (_, row) => `MORE${row},${row}.95,2024-02-01,More of the same`),
].join('\n');

test('pictures of the pages @screenshots', async ({ page }) => {
  const directory = process.env.SCREENSHOTS_DIR;
  await page.goto('/');
  await createUser(page, { name: 'Ann Example', email: `ann-${Date.now()}@example.com` });
  const dashboard = page.url();
  await upload(page, 'broken.csv', 'id,value\n1,2\n');
  await start(page);
  await expect(page.getByText('Failed', { exact: true })).toBeVisible();
  const failed = page.url();
  await page.goto(dashboard);
  await upload(page, 'march.csv', FILE);
  const pending = page.url();
  await page.goto(dashboard);
  await upload(page, 'payments.csv', FILE);
  await start(page);
  await completed(page);
  const job = page.url();
  await createUser(page, { name: 'Eve Empty', email: `eve-${Date.now()}@example.com` });
  const empty = page.url();
  await page.getByRole('button', { name: 'Try it with 200,000 sample rows' }).click();
  await completed(page);
  const demo = page.url();
  await createUser(page, { name: 'Eve Empty', email: `eva-${Date.now()}@example.com` });
  const first = page.url();

  const pages = {
    home: '/',
    users: '/users',
    find: '/find?q=march',
    formats: '/formats',
    user: dashboard,
    empty: first,
    checked: first,
    job,
    demo,
    sought: `${demo}?row=3521`,
    pending,
    failed,
    missing: '/nowhere',
  };
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 900 });
      for (const [name, url] of Object.entries(pages)) {
        await page.goto(url);
        await page.waitForLoadState('networkidle');
        if (name === 'checked') {
          await page
            .getByLabel('File', { exact: true })
            .setInputFiles({ name: 'march.csv', mimeType: 'text/csv', buffer: Buffer.from(FILE) });
          await expect(page.getByRole('button', { name: 'Check again' })).toBeVisible();
        }
        // Nothing may be wider than the screen.
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        expect(overflow, `${name} at ${width}`).toBeLessThanOrEqual(0);
        await page.screenshot({
          path: `${directory}/${name}-${width}-${colorScheme}.png`,
          fullPage: !['home', 'users'].includes(name),
        });
      }
    }
  }
});
