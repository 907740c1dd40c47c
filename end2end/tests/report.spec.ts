import { expect, test } from '@playwright/test';
import { completed, createUser, expectCounts, start, upload } from './batchline';

const FILE = [
  'transaction_id,amount,date,description',
  ...Array.from(
    { length: 95 },
    (_, row) => `GOOD${row + 1},10.50,2024-03-${String((row % 28) + 1).padStart(2, '0')},Ordinary`,
  ),
  'BAD1,ten,2024-02-30,Wrong twice',
  'BAD2,eleven,2024-03-02,Wrong once',
  'BAD3,,2024-03-02,Nothing',
  'GOOD1,1,2024-03-02,Again',
  `LONG,1,2024-04-01,${'long '.repeat(100)}END`,
].join('\n');

test('a finished file is summed up, and its problems lead to their rows', async ({ page }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await start(page);
  await completed(page);
  const progress = page.getByRole('region', { name: 'Progress' });
  const fact = (name: string) => progress.locator('dt', { hasText: name }).locator('xpath=following-sibling::dd');
  await expect(fact('Valid share')).toHaveText('96%');
  await expect(fact('Total (valid rows)')).toHaveText('998.50');
  await expect(fact('Date range (valid rows)')).toHaveText('2024-03-01 – 2024-04-01');
  await expect(fact('Duration')).toHaveText(/s$/);

  const problems = page.getByRole('region', { name: 'Problems' });
  await expect(problems.getByRole('listitem')).toHaveText([
    'Amount is not a number2 (2%)',
    'Duplicate ID1 (1%)',
    'Amount is missing1 (1%)',
    'Impossible date1 (1%)',
  ]);
  const valid = page.getByRole('region', { name: 'Valid rows' });
  await expect(valid.getByRole('img', { name: 'Amounts by size. Largest group: 10 – 100, 95 rows.' })).toBeVisible();
  await expect(valid.getByRole('img', { name: 'Rows by month. Largest group: 2024-03, 95 rows.' })).toBeVisible();
  await valid.getByText('As a table').last().click();
  const months = valid.getByRole('table', { name: 'Rows by month' }).locator('tbody').getByRole('row');
  await expect(months).toHaveText(['2024-0395', '2024-041']);

  await problems.getByRole('link', { name: 'Amount is not a number' }).click();
  await expect(page).toHaveURL(/\?filter=amount\.not_a_number/);
  const rows = page.getByRole('table', { name: 'Transactions' }).locator('tbody').getByRole('row');
  await expect(rows).toHaveCount(2);
  await expect(rows.first()).toContainText('BAD1');
  // The kind appears among the filters, and the link can be shared.
  const filters = page.getByRole('navigation', { name: 'Filter by verdict' });
  await expect(filters.getByRole('link', { name: 'Amount is not a number' })).toHaveAttribute('aria-current', 'true');
  await page.reload();
  await expect(rows).toHaveCount(2);
  await page.goBack();
  await expect(rows).toHaveCount(20);
});

test('a row is found by its number', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await start(page);
  await completed(page);
  await page.getByRole('spinbutton', { name: 'Row number' }).fill('77');
  await page.getByRole('button', { name: 'Go to row' }).click();
  await expect(page).toHaveURL(/row=77/);
  const sought = page.getByRole('table', { name: 'Transactions' }).locator('tr[aria-current]');
  await expect(sought).toContainText('GOOD77');
  // Without JavaScript the top of the table is in view.
  if (javaScriptEnabled) await expect(sought).toBeInViewport();
  else await expect(page.getByRole('heading', { name: 'Transactions' })).toBeInViewport();
  await expect(page.getByText('61–80 of 100 rows')).toBeVisible();
  await page.getByRole('link', { name: 'Next' }).click();
  await expect(page.getByText('81–100 of 100 rows')).toBeVisible();
  await page.goBack();
  await expect(sought).toContainText('GOOD77');
  // Beyond the end the last page is shown, with a sentence. Long texts can be expanded.
  await page.getByRole('spinbutton', { name: 'Row number' }).fill('5000');
  await page.getByRole('button', { name: 'Go to row' }).click();
  await expect(page.getByText('There is no row 5,000. The last row is 100.', { exact: true })).toBeVisible();
  await expect(page.getByText('81–100 of 100 rows')).toBeVisible();
  await expect(page.getByText(/^(long )+END$/)).toBeHidden();
  await page.locator('.long-text summary').click();
  await expect(page.getByText(/^(long )+END$/)).toBeVisible();
});

test('colours say whether the rows are valid, also where the browser chooses them', async ({ page }) => {
  const files = [
    { name: 'valid.csv', rows: 'A,1,2024-01-01', tone: 'valid', says: 'The only row is valid.' },
    { name: 'mixed.csv', rows: 'A,1,2024-01-01\nB,x,2024-01-01', tone: 'mixed', says: '1 of 2 rows is invalid.' },
    { name: 'invalid.csv', rows: 'A,x,2024-01-01\nB,x,2024-01-01', tone: 'invalid', says: '2 of 2 rows are invalid.' },
  ];
  await createUser(page);
  const user = page.url();
  const colour = (selector: string) => page.locator(selector).evaluate((element) => getComputedStyle(element).color);
  const badges = new Set<string>();
  for (const { name, rows, tone, says } of files) {
    await page.goto(user);
    await upload(page, name, `transaction_id,amount,date\n${rows}\n`);
    await start(page);
    await completed(page);
    await expect(page.getByText(says, { exact: true })).toBeVisible();
    await expect(page.locator('.summary .progress')).toHaveAttribute('data-tone', tone);
    badges.add(await colour('.page-head .badge'));
  }
  expect(badges.size).toBe(3);
  // The number of invalid rows stands out and links to them.
  expect(await colour('[data-kind=invalid] dd')).not.toBe(await colour('[data-kind=total] dd'));
  await page
    .getByRole('region', { name: 'Progress' })
    .locator('[data-kind=invalid]')
    .getByRole('link', { name: '2' })
    .click();
  await expect(page).toHaveURL(/\?filter=invalid#rows$/);
  await page.emulateMedia({ forcedColors: 'active' });
  await expect(page.getByRole('progressbar')).toHaveCSS('border-top-width', '1px');
});

test('a user without a file tries the demonstration', async ({ page }) => {
  await createUser(page);
  await page.getByRole('button', { name: 'Try it with 200,000 sample rows' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'demo.csv' })).toBeVisible();
  await completed(page);
  await expectCounts(page, { 'Total rows': '200,000' });
  // Of seven kinds, five are visible.
  const problems = page.getByRole('region', { name: 'Problems' });
  await expect(problems.getByRole('link')).toHaveCount(5);
  await problems.getByText('2 more kinds', { exact: true }).click();
  await expect(problems.getByRole('link')).toHaveCount(7);
  // The throughput is collapsed: a chart, and the same as a table.
  const chart = page.getByRole('img', { name: /^Between [\d,]+ and [\d,]+ rows per second/ });
  await expect(chart).toBeHidden();
  await page.getByText('Rows per second', { exact: true }).first().click();
  await expect(chart).toBeVisible();
  const values = await chart.locator('title').allTextContents();
  for (const value of values) expect(value).toMatch(/^[\d. \u00a0smin]+ – [\d. \u00a0smin]+: [\d,]+ rows\/s$/);
  await page.locator('#pace').getByText('As a table').click();
  const rows = page.getByRole('table', { name: 'Rows per second' }).locator('tbody').getByRole('row');
  await expect(rows).toHaveCount(values.length);
  await expect(rows.first()).toContainText(/^0\.0+(\u00a0s)? – /);
});
