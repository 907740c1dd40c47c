import { expect, test } from '@playwright/test';

// A telephone with a slow connection shows the page before it has loaded what makes it live.
test('the WebAssembly is loaded once the page is painted @javascript @once', async ({ page }) => {
  for (const path of ['/', '/nowhere']) {
    await page.goto(path);
    await expect(page.getByRole('button', { name: 'Shortcuts' })).toBeVisible();
    const { painted, loaded } = await page.evaluate(() => ({
      painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
      loaded: performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.wasm')),
    }));
    expect(loaded).toHaveLength(1);
    expect(loaded[0].startTime).toBeGreaterThanOrEqual(painted);
  }
});

test('a page that is opened in the background becomes live there @javascript @once', async ({ page }) => {
  await page.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { value: true });
    // Nothing is painted there.
    PerformanceObserver.prototype.observe = () => {};
  });
  await page.goto('/');
  await expect(page.getByRole('button', { name: 'Shortcuts' })).toBeVisible();
});
