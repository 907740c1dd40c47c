// The content security policy refuses foreign content, and nothing else.

import { expect, test, type Page } from '@playwright/test';
import { SAMPLE, complaints, completed, createUser, start, upload } from './batchline';

// Collects what the browser refuses from now on.
function refusals(page: Page) {
  return complaints(page, (message) => /content security policy|refused to|SplitLoaderError/i.test(message.text()));
}

test('nothing on the pages is refused @javascript', async ({ page }) => {
  const refused = refusals(page);
  await createUser(page);
  // The check runs in a web worker, in WebAssembly.
  await page.getByLabel('File', { exact: true }).setInputFiles({
    name: 'checked.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(SAMPLE),
  });
  const check = page.getByRole('region', { name: 'checked.csv' });
  await expect(check).toContainText('All 4 rows are valid.');
  await upload(page, 'payments.csv', SAMPLE);
  await start(page);
  await completed(page);
  for (const path of ['/', '/formats', '/nothing']) await page.goto(path);
  expect(refused()).toEqual([]);
});

test('a foreign script does not run @javascript @once', async ({ page }) => {
  await page.goto('/');
  const ran = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'window.foreign = true';
    document.body.append(script);
    const frame = document.createElement('img');
    frame.setAttribute('onerror', 'window.foreign = true');
    frame.src = 'data:image/png,x';
    document.body.append(frame);
    await new Promise((resolve) => frame.addEventListener('error', resolve));
    return 'foreign' in window;
  });
  expect(ran).toBe(false);
});
