import { expect, test, type Page } from '@playwright/test';
import { completed, createUser, listed, live, longFile, start, upload } from './batchline';

const ROWS = Array.from({ length: 60 }, (_, row) => `R${row},${row % 3 ? 1 : 'x'},2024-01-01,Row ${row}`);
const FILE = `transaction_id,amount,date,description\n${ROWS.join('\n')}\n`;

// The element that contains the focus. If the focus is lost, that is <body>.
const focused = (page: Page) =>
  page.evaluate(() => {
    const { activeElement } = document;
    const isShown = activeElement instanceof HTMLElement && activeElement.offsetWidth > 0;
    return isShown ? activeElement.tagName : 'BODY';
  });

async function press(page: Page, role: 'button' | 'link', name: string | RegExp) {
  await page.getByRole(role, { name }).first().focus();
  await page.keyboard.press('Enter');
}

test('the focus stays near a command that was given by keyboard @javascript @large', async ({ page }) => {
  await createUser(page);
  const user = page.url();
  await upload(page, 'long.csv', longFile().content);
  const job = page.url();
  await live(page);
  const summary = page.getByRole('region', { name: 'Progress' });
  const inSummary = () => summary.evaluate((element) => element.contains(document.activeElement));

  await press(page, 'button', 'Start processing');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  expect(await inSummary()).toBe(true);
  await press(page, 'button', 'Pause');
  await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
  expect(await inSummary()).toBe(true);
  await press(page, 'button', 'Cancel…');
  const dialog = page.getByRole('dialog', { name: 'Cancel this job?' });
  await page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('button', { name: 'Cancel…' })).toBeFocused();
  await page.keyboard.press('Enter');
  await dialog.getByRole('button', { name: 'Cancel job' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByText('Cancelled', { exact: true })).toBeVisible();
  expect(await inSummary()).toBe(true);
  // The next stop is the next element of the page.
  await page.keyboard.press('Tab');
  expect(await inSummary()).toBe(true);

  // In a list, too.
  await page.goto(user);
  await live(page);
  await press(page, 'button', 'Retry');
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  const file = listed(page);
  expect(await file.evaluate((element) => element.contains(document.activeElement))).toBe(true);
  await page.goto(job);
  await completed(page);
});

test('the focus stays in the rows that are chosen by keyboard @javascript', async ({ page }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await live(page);
  await press(page, 'button', 'Start processing');
  await completed(page);
  await expect(page.getByText('1–20 of 60 rows')).toBeVisible();
  expect(await focused(page)).not.toBe('BODY');

  const pager = page.getByRole('navigation', { name: 'Pages' });
  for (const [link, rows] of [
    ['Last', '41–60'],
    ['First', '1–20'],
    ['Next', '21–40'],
    ['Previous', '1–20'],
  ]) {
    await press(page, 'link', link);
    await expect(page.getByText(`${rows} of 60 rows`)).toBeVisible();
    await expect(pager.getByText(link, { exact: true })).toBeFocused();
  }
  await press(page, 'link', 'Amount is not a number');
  await expect(page.getByText('1–20 of 20 rows')).toBeVisible();
  expect(await focused(page)).not.toBe('BODY');
  // The link for the kind disappears with its filter.
  await page
    .getByRole('navigation', { name: 'Filter by verdict' })
    .getByRole('link', { name: /^Amount/ })
    .focus();
  await page.keyboard.press('2');
  await expect(page.getByText('1–20 of 40 rows')).toBeVisible();
  expect(await focused(page)).not.toBe('BODY');
  await page.goto(`${new URL(page.url()).pathname}?q=nothing`);
  await live(page);
  await press(page, 'link', 'Show all rows');
  await expect(page.getByText('1–20 of 60 rows')).toBeVisible();
  expect(await focused(page)).not.toBe('BODY');
  await press(page, 'button', 'Delete file…');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: 'Delete file…' })).toBeFocused();
});

test('each change of the rows is announced once @javascript', async ({ page }) => {
  await createUser(page);
  await upload(page, 'mixed.csv', FILE);
  await live(page);
  await start(page);
  await completed(page);
  await expect(page.getByText('1–20 of 60 rows')).toBeVisible();
  await page.evaluate(() => {
    const live = '[role=status], [role=alert], [aria-live]';
    const heard: string[] = [];
    Object.assign(window, { heard });
    new MutationObserver((changes) => {
      const regions = changes.map(
        ({ target }) => (target as Element).closest?.(live) ?? target.parentElement?.closest(live),
      );
      for (const region of new Set(regions)) if (region?.textContent) heard.push(region.textContent);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const filters = page.getByRole('navigation', { name: 'Filter by verdict' });
  const steps: [() => Promise<unknown>, string][] = [
    [() => filters.getByRole('link', { name: /^Valid/ }).click(), '40 rows, valid, page 1 of 2.'],
    [() => page.getByRole('link', { name: 'Next' }).click(), '40 rows, valid, page 2 of 2.'],
    [
      () =>
        page
          .getByRole('searchbox')
          .fill('Row 1')
          .then(() => page.keyboard.press('Enter')),
      '8 rows, valid.',
    ],
    [() => page.getByRole('combobox', { name: 'Rows per page' }).selectOption('50 rows'), '8 rows, valid.'],
    [() => filters.getByRole('link', { name: /^All/ }).click(), '11 rows.'],
  ];
  const expected: string[] = [];
  for (const [step, sentence] of steps) {
    await step();
    expected.push(sentence);
    await expect.poll(() => page.evaluate(() => 'heard' in window && window.heard)).toEqual(expected);
  }
});
