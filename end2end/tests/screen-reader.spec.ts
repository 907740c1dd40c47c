// What a job's page offers to screen readers: the accessibility tree of its main parts, from the start of a job to its
// end, with a filter and with a search.

import { expect, test, type Page } from '@playwright/test';
import { completed, createUser, generated, live, start, upload } from './batchline';

const progress = (page: Page) => page.getByRole('region', { name: 'Progress' });
const transactions = (page: Page) => page.getByRole('region', { name: 'Transactions' });
// Sentences that are announced automatically.
const said = (page: Page, sentence: string | RegExp) => page.getByRole('status').filter({ hasText: sentence });

test('a screen reader gets the start, the progress and the end of a job @large', async ({
  page,
  javaScriptEnabled,
}) => {
  await createUser(page);
  await upload(page, 'march.csv', generated(500_000, '--unsuspicious').content);
  if (javaScriptEnabled) await live(page);
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - navigation "Breadcrumb":
      - link "Users"
      - link /^Ann/
      - text: march.csv
    - heading "march.csv" [level=1]
    - text: Pending
    - region "Progress":
      - paragraph: Uploaded and ready. You can close this page while it runs.
      - group "Commands":
        - button "Start processing"
    - status
    - region "Transactions":
      - heading "Transactions" [level=2]
      - paragraph: Rows appear here once the file is being processed.
  `);

  await start(page);
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - heading "march.csv" [level=1]
    - text: Processing
    - region "Progress":
      - paragraph: /^(Reading|Checking)/
      - progressbar "Progress of march.csv"
      - group "Commands":
        - button /^(Starting…|Pause)$/
  `);
  // Without JavaScript nothing is announced, because the page is loaded again.
  if (javaScriptEnabled) await expect(said(page, /^march\.csv: \d+ percent\.$/)).toHaveCount(1);

  await completed(page);
  await expect(page).toHaveTitle('Completed · march.csv · Batchline');
  await expect(progress(page)).toMatchAriaSnapshot(`
    - region "Progress":
      - paragraph: All 500,000 rows are valid.
      - progressbar "Progress of march.csv"
      - text: 100%
      - term: Total rows
      - definition: 500,000
      - term: Processed
      - definition: 500,000
      - term: Valid
      - definition:
        - link "500,000"
      - term: Invalid
      - definition: "0"
      - term: Suspicious
      - definition: "0"
      - term: Valid share
      - definition: 100%
      - term: Total (valid rows)
      - definition: /14,979,222,500/
      - term: Date range (valid rows)
      - definition:
        - time: 2024-01-01
      - term: Duration
      - definition: /\\d/
      - term: Average speed
      - definition: /rows.s/
      - link "Download all rows (500,000)"
  `);
  await expect(progress(page).getByRole('progressbar')).toHaveAttribute('value', '100');
  if (javaScriptEnabled) {
    const sentence = 'march.csv is completed: 500,000 rows, 500,000 valid, 0 invalid, 0 suspicious.';
    await expect(said(page, sentence)).toHaveCount(1);
  }
});

test('a screen reader gets a filter and a search @large', async ({ page, javaScriptEnabled }) => {
  const file = [
    'transaction_id,amount,date,description',
    ...Array.from({ length: 25 }, (_, row) => `GOOD${row + 1},10.5,2024-03-01,Ordinary`),
    'ODD1,60000,2024-03-02,Large one',
    'BAD1,ten,2024-02-30,Wrong twice',
    'GOOD1,1,2024-03-02,Again',
  ];
  await createUser(page);
  await upload(page, 'march.csv', file.join('\n'));
  await start(page);
  await completed(page);
  await page.goto(page.url());
  if (javaScriptEnabled) await live(page);
  // The page of a job with errors opens with its invalid rows.
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - region "Problems":
      - heading "Problems" [level=2]
      - list:
        - listitem:
          - link "Duplicate ID"
          - text: 1 (3.6%)
        - listitem:
          - link "Amount is not a number"
          - text: 1 (3.6%)
        - listitem:
          - link "Impossible date"
          - text: 1 (3.6%)
    - region "Transactions":
      - heading "Transactions" [level=2]
      - navigation "Filter by verdict":
        - link "All 28"
        - link "Valid 26"
        - link "Invalid 2"
        - link "Suspicious 1"
      - search:
        - text: Search in ID and description
        - searchbox "Search in ID and description"
        - text: Rows per page
        - combobox "Rows per page"
        - button "Search"
      - text: Row number
      - spinbutton "Row number"
      - button "Go to row"
  `);

  await page.getByRole('link', { name: 'Suspicious 1' }).click();
  await expect(transactions(page)).toMatchAriaSnapshot(`
    - table "Transactions":
      - rowgroup:
        - row:
          - columnheader "Row"
          - columnheader "ID"
          - columnheader "Amount"
          - columnheader "Date"
          - columnheader "Description"
          - columnheader "Verdict"
      - rowgroup:
        - row:
          - cell "26 line 27":
            - link "26"
          - cell "ODD1"
          - cell "60,000"
          - cell "2024-03-02"
          - cell "Large one"
          - cell "Valid Suspicious"
    - navigation "Pages":
      - paragraph: 1–1 of 1 row
  `);
  await expect(page.getByRole('link', { name: 'Suspicious 1' })).toHaveAttribute('aria-current', 'true');
  // Changes in place are announced.
  if (javaScriptEnabled) await expect(said(page, '1 row, suspicious.')).toHaveCount(1);

  await page.getByRole('link', { name: 'All 28' }).click();
  // Otherwise the search could still have the previous filter.
  await expect(page.getByRole('link', { name: 'All 28' })).toHaveAttribute('aria-current', 'true');
  await page.getByRole('searchbox').fill('GOOD1');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(transactions(page)).toMatchAriaSnapshot(`
    - navigation "Filter by verdict":
      - link "All 2"
      - link "Valid"
      - link "Invalid"
      - link "Suspicious"
    - search:
      - searchbox "Search in ID and description": GOOD1
    - table "Transactions":
      - rowgroup
      - rowgroup:
        - row:
          - cell "1 line 2"
          - cell "GOOD1":
            - mark: GOOD1
        - row:
          - cell "28 line 29"
          - cell /GOOD1 Duplicate ID/:
            - mark: GOOD1
            - paragraph: Duplicate ID "GOOD1", used in an earlier row
    - navigation "Pages":
      - paragraph: 1–2 of 2 rows
  `);
  if (javaScriptEnabled) await expect(said(page, '2 rows.')).toHaveCount(1);
});
