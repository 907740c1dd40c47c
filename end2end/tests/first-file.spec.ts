import { expect, test } from '@playwright/test';
import { SAMPLE, completed, createUser, expectCounts, generated, listed, live, start, upload } from './batchline';

test('a new user uploads a file, starts it and reads the verdicts', async ({ page }) => {
  await createUser(page);
  await expect(page.getByText('No files yet')).toBeVisible();

  await upload(page, 'payments.csv', SAMPLE);
  await expect(page.getByText('Pending', { exact: true })).toBeVisible();
  await expect(page.getByText('Rows appear here once the file is being processed.')).toBeVisible();
  await expect(page.getByRole('searchbox')).toHaveCount(0);

  await start(page);
  await completed(page);
  await expect(page).toHaveTitle('Completed · payments.csv · Batchline');
  await expect(page.getByRole('progressbar', { name: 'Progress of payments.csv' })).toHaveAttribute('value', '100');
  await expectCounts(page, {
    'Total rows': '4',
    Processed: '4',
    Valid: '4',
    Invalid: '0',
    Suspicious: '1',
  });

  const rows = page.getByRole('table', { name: 'Transactions' }).getByRole('row');
  await expect(rows).toHaveCount(5);
  await expect(page.getByRole('searchbox')).toBeVisible();
  const expected = [
    ['1 line 2', 'TXN001', '150.00', '2024-01-15', 'Monthly subscription', 'Valid'],
    ['2 line 3', 'TXN002', '75.50', '2024-01-16', 'Service fee', 'Valid'],
    ['3 line 4', 'TXN003', '-50.00', '2024-01-17', 'Refund', 'Valid Suspicious'],
    ['4 line 5', 'TXN004', '1,000.00', '2024-01-18', 'Product purchase', 'Valid'],
  ];
  for (const [index, cells] of expected.entries()) {
    await expect(rows.nth(index + 1).getByRole('cell')).toHaveText(cells);
  }

  // The page no longer reloads, because the job has ended.
  await expect(page.locator('meta[http-equiv=refresh]')).toHaveCount(0);

  // Back to the list of files and forth again.
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').last().click();
  const file = listed(page);
  await expect(file).toContainText('Completed');
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1, name: 'payments.csv' })).toBeVisible();
});

test('progress appears without reloading the page @javascript', async ({ page }) => {
  await createUser(page);
  const { content, counts } = generated(50_000, '--errors');
  await upload(page, 'many.csv', content);
  // Before the page is live, the button is a plain form and the browser loads the response.
  await live(page);
  await page.evaluate(() => Object.assign(window, { stayed: true }));

  // In every painted frame the numbers agree.
  await page.evaluate(() => {
    const number = (kind: string) =>
      Number(document.querySelector(`[data-kind=${kind}] dd`)?.textContent?.replaceAll(',', ''));
    const odd: string[] = [];
    Object.assign(window, { odd });
    const look = () => {
      const [processed, valid, invalid] = ['processed', 'valid', 'invalid'].map(number);
      // They are NaN before the start.
      if (processed < valid + invalid || processed > valid + invalid) odd.push(`${processed}, ${valid}, ${invalid}`);
      requestAnimationFrame(look);
    };
    look();
  });
  await start(page);
  await completed(page);
  expect(await page.evaluate(() => 'odd' in window && window.odd)).toEqual([]);
  const [rows, invalid, valid] = [counts.rows, counts.invalid, counts.valid].map((count) => count.toLocaleString('en'));
  await expectCounts(page, { 'Total rows': rows, Invalid: invalid, Valid: valid });
  await expect(page.getByRole('table', { name: 'Transactions' }).getByRole('row')).toHaveCount(21);
  expect(await page.evaluate(() => 'stayed' in window)).toBe(true);
});
