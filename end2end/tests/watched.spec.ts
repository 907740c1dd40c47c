// For script/chaos: a page that stays open while everything behind it is killed.

import { writeFile } from 'node:fs/promises';
import { expect, test } from '@playwright/test';
import { completed, count } from './batchline';

test('a page that stays open shows the end @javascript @chaos', async ({ page }) => {
  test.setTimeout(900_000);
  const listening = page.waitForEvent('websocket', (socket) => socket.url().includes('/api/ws/'));
  await page.goto(`/jobs/${process.env.CHAOS_JOB}`);
  await listening;
  await page.evaluate(() => Object.assign(window, { stayed: true }));
  await writeFile(process.env.CHAOS_WATCHING!, '');

  await completed(page, 900_000);
  await expect(page).toHaveTitle(/^Completed · /);
  const total = await count(page, 'Total rows').textContent();
  await expect(count(page, 'Processed')).toHaveText(total!);
  expect(await page.evaluate(() => 'stayed' in window)).toBe(true);
});
