import { expect, test } from '@playwright/test';
import { SAMPLE, completed, createUser, live, start, upload } from './batchline';

// A phone with a slow connection shows the page before it has loaded what makes it live.
test('the WebAssembly is loaded once the page is painted @javascript @once', async ({ page }) => {
  for (const path of ['/', '/nowhere']) {
    await page.goto(path);
    await live(page);
    const { painted, loaded } = await page.evaluate(() => ({
      painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      loaded: performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.wasm')),
    }));
    expect(loaded).toHaveLength(1);
    expect(loaded[0].startTime).toBeGreaterThanOrEqual(painted);
  }
});

test('the upload form is loaded when a user turns to it, and the check when a file is chosen @javascript @once', async ({
  page,
}) => {
  const loaded: string[] = [];
  page.on('request', (request) => loaded.push(new URL(request.url()).pathname));
  const modules = () =>
    loaded.filter((path) => path.endsWith('.wasm')).map((path) => path.match(/([a-z_]+?)(_\d+)?\.wasm$/)?.[1]);
  await createUser(page);
  await live(page);
  loaded.length = 0;
  await page.reload();
  await live(page);
  expect(modules()).toEqual(['batchline']);
  await page.keyboard.press('u');
  await expect.poll(() => new Set(modules())).toEqual(new Set(['batchline', 'split_upload_form_loader']));
  const file = { name: 'payments.csv', mimeType: 'text/csv', buffer: Buffer.from(SAMPLE) };
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await expect(page.getByRole('region', { name: 'payments.csv' })).toContainText('All 4 rows are valid.');
  expect(modules()).toContain('check');
});

test('a page that is opened in the background becomes live @javascript @once', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { value: true });
    // Nothing is ever painted in this page.
    PerformanceObserver.prototype.observe = () => {};
  });
  await page.goto('/');
  await live(page);
});

test('a page whose WebAssembly fails to load follows its job as without JavaScript @javascript @once', async ({
  page,
}) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await page.route('**/batchline.wasm', (route) => route.abort());
  await page.reload();
  await start(page);
  await completed(page);
  await expect(page.locator('html[data-live]')).toHaveCount(0);
});
