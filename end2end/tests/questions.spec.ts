import { expect, test } from '@playwright/test';
import { completed, createUser, expectFits, live, refreshed, start, upload } from './batchline';

const STATEMENT = [
  'Statement of account;;;',
  'Booked;Text;Out;In',
  '03/04/2024;Rent;1.450,00;',
  '05/04/2024;Refund;;8,40',
].join('\n');

test('a statement is processed once its questions are answered', async ({ page }) => {
  await createUser(page);
  await upload(page, 'statement.csv', STATEMENT);
  await start(page);
  const questions = page.getByRole('region', { name: 'How should this file be read?' });
  await expect(questions).toBeVisible();
  const columns = questions.getByRole('group', { name: 'Columns' });
  await expect(columns.getByRole('cell', { name: 'Rent' })).toBeVisible();
  // On narrow screens the rows scroll within their box.
  await expectFits(page);
  // The suggestions are filled in.
  await expect(columns.getByLabel('Date')).toHaveValue('"Booked"');
  await expect(columns.getByLabel('Money out (debit)')).toHaveValue('"Out"');
  await expect(columns.getByLabel('Money in (credit)')).toHaveValue('"In"');
  await columns.getByLabel('Description', { exact: true }).selectOption({ label: 'Text' });
  await questions.getByRole('button', { name: 'Process with these answers' }).click();

  const order = questions.getByRole('group', { name: 'Order of day and month' });
  await expect(order).toContainText('03/04/2024 is 3 April 2024');
  await order.getByLabel('Day first').check();
  await questions.getByRole('button', { name: 'Process with these answers' }).click();
  await completed(page);
  await expect(page.getByRole('row', { name: /Rent/ })).toContainText('-1,450.00');
  const reading = page.getByRole('region', { name: 'How we read your file' });
  await expect(reading).toContainText('comma (proved by "1.450,00" in row 1)');
  await expect(reading).toContainText('day first (as you said)');
  await expect(questions).toHaveCount(0);
});

test('a file without a header keeps its first row', async ({ page }) => {
  await createUser(page);
  await upload(page, 'headless.csv', '01/02/2024,-5.00,Coffee\n13/02/2024,-7.10,Lunch\n');
  await start(page);
  const questions = page.getByRole('region', { name: 'How should this file be read?' });
  await expect(questions).toContainText('The file is read without a header. Its first row seems to be record 1.');
  await expect(questions.getByLabel('Date')).toHaveValue('{"column":1}');
  await questions.getByLabel('Description', { exact: true }).selectOption({ label: 'Column 3' });
  await questions.getByRole('button', { name: 'Process with these answers' }).click();
  await completed(page);
  await expect(page.getByRole('row', { name: /Coffee/ })).toContainText('-5.00');
  await expect(page.getByRole('row', { name: /Lunch/ })).toContainText('-7.10');
});

test('invalid answers are reported in place', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  await upload(page, 'names.csv', 'Txn,Value,When\n1,2,2024-01-01\n');
  await start(page);
  const questions = page.getByRole('region', { name: 'How should this file be read?' });
  await questions.getByLabel('Amount, in one column').selectOption('');
  await questions.getByRole('button', { name: 'Process with these answers' }).click();
  await expect(page.getByRole('alert')).toContainText('Choose one column for the amount');
  await expect(page).toHaveURL(/\/answers$/);
  // A page that is fetched again shows them, too.
  if (javaScriptEnabled) {
    await live(page);
    await refreshed(page);
  }
  await expect(page.getByRole('alert')).toContainText('Choose one column for the amount');
  await expect(questions.getByLabel('Amount, in one column')).toHaveValue('');
});

test('the check asks before the upload, and its answers are sent along @javascript', async ({ page }) => {
  await createUser(page);
  await page.getByLabel('File', { exact: true }).setInputFiles({
    name: 'statement.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(STATEMENT),
  });
  const check = page.getByRole('region', { name: 'statement.csv', exact: false });
  await check.getByLabel('Description', { exact: true }).selectOption({ label: 'Text' });
  await expectFits(page);
  await check.getByRole('button', { name: 'Check with these answers' }).click();
  await check.getByLabel('Day first').check();
  await check.getByRole('button', { name: 'Check with these answers' }).click();
  await expect(check).toContainText('All 2 rows are valid.');
  await expect(check).toContainText('decimal comma, proved by "1.450,00" in row 1');
  await page.getByRole('button', { name: 'Upload only' }).click();
  await start(page);
  await completed(page);
  await expect(page.getByRole('row', { name: /Refund/ })).toContainText('8.40');

  // The next file with this header is checked without questions.
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').nth(1).click();
  await page.getByLabel('File', { exact: true }).setInputFiles({
    name: 'next.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(STATEMENT.replace('Rent', 'Rent again')),
  });
  const next = page.getByRole('region', { name: 'next.csv', exact: false });
  await expect(next).toContainText('All 2 rows are valid.');
});

test('the supported formats are explained, with samples', async ({ page }) => {
  await page.goto('/formats');
  await expect(page.getByRole('heading', { level: 1, name: 'Supported formats' })).toBeVisible();
  const download = page.waitForEvent('download');
  await page.getByRole('link', { name: 'sample-german.csv' }).click();
  expect((await download).suggestedFilename()).toBe('sample-german.csv');
});

test('the rows of a question are read under each choice', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  await upload(page, 'names.csv', 'Txn,Value,When,Text\n1,2.50,2024-01-01,Rent\n2,n/a,2024-01-02,Refund\n');
  await start(page);
  const columns = page.getByRole('group', { name: 'Columns' });
  const reads = columns.getByRole('status');
  const choose = async (name: string, label: string) => {
    await columns.getByLabel(name, { exact: true }).selectOption({ label });
    if (!javaScriptEnabled) {
      await columns.getByRole('button', { name: 'Show how these columns are read' }).click();
    }
  };
  await expect(reads).toHaveText('All 2 rows shown can be read.');
  if (javaScriptEnabled) await live(page);
  await choose('Amount, in one column', 'Value');
  await expect(reads).toHaveText("1 of the 2 rows shown can't be read.");
  await expect(columns.getByRole('row', { name: /Rent/ })).toContainText('2024-01-01, 2.50');
  await expect(columns.getByRole('columnheader', { name: 'Value Amount' })).toBeVisible();

  await choose('Amount, in one column', 'Txn');
  await expect(reads).toHaveText('All 2 rows shown can be read.');
  await expect(columns.getByRole('row', { name: /Rent/ })).toContainText('2024-01-01, 1');
  // The choices stay.
  await expect(columns.getByLabel('Amount, in one column')).toHaveValue('"Txn"');
  await choose('Date', 'Choose a column');
  await expect(reads).toHaveText('Choose the column of the date.');
  await columns.getByLabel('Date', { exact: true }).selectOption({ label: 'When' });
  await page.getByRole('button', { name: 'Process with these answers' }).click();
  await completed(page);
});

test('a saved format is deleted once that is confirmed', async ({ page }) => {
  await createUser(page);
  await upload(page, 'names.csv', 'Txn,Value,When\n1,2,2024-01-01\n');
  await start(page);
  await page.getByRole('button', { name: 'Process with these answers' }).click();
  await completed(page);
  await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').nth(1).click();
  const formats = page.getByRole('region', { name: 'Saved formats' });
  await formats.getByRole('button', { name: /^Delete / }).click();
  const question = page.getByRole('dialog', { name: 'Delete this saved format?' });
  await expect(question).toContainText("New files won't use it.");
  await question.getByRole('button', { name: 'Cancel' }).click();
  await expect(formats.getByRole('article')).toHaveCount(1);
  await formats.getByRole('button', { name: /^Delete / }).click();
  await question.getByRole('button', { name: 'Delete saved format' }).click();
  await expect(formats).toContainText('None yet.');
});
