import { expect, test } from '@playwright/test';
import { SAMPLE, completed, createUser, live, longFile, start, upload } from './batchline';

test('the title says how a job stands, and nothing moves until its end @javascript @large @once', async ({ page }) => {
  await createUser(page);
  const { content, counts } = longFile();
  await upload(page, 'long.csv', content);
  await expect(page).toHaveTitle('long.csv · Batchline');
  await live(page);
  await page.evaluate(() => {
    const titles = new Set<string>();
    const shifts: string[] = [];
    Object.assign(window, { titles, shifts });
    new MutationObserver(() => titles.add(document.title)).observe(document.head, {
      subtree: true,
      childList: true,
      characterData: true,
    });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & {
        value: number;
        hadRecentInput: boolean;
        sources: { node?: Element }[];
      })[]) {
        if (!entry.hadRecentInput)
          shifts.push(`${entry.value.toFixed(3)} ${entry.sources.map(({ node }) => node?.id || node?.className)}`);
      }
    }).observe({ type: 'layout-shift' });
  });
  await start(page);
  await expect(page.getByText(/^Checking rows/)).toBeVisible();
  await completed(page);
  const invalid = counts.invalid.toLocaleString('en');
  await expect(page.getByRole('link', { name: `Download invalid rows (${invalid})` })).toBeVisible();
  await expect(page).toHaveTitle('Completed · long.csv · Batchline');
  const titles = await page.evaluate(() => [...(window as unknown as { titles: Set<string> }).titles]);
  for (const title of titles) expect(title).toMatch(/^(\d+%|Finishing|Completed|long\.csv) · /);
  const shifts = await page.evaluate(() => (window as unknown as { shifts: string[] }).shifts);
  expect(
    shifts.reduce((sum, shift) => sum + Number.parseFloat(shift), 0),
    shifts.join('\n'),
  ).toBeLessThan(0.02);

  // Of many kinds of errors, the most frequent are visible, and all of them on paper.
  const problems = page.getByRole('region', { name: 'Problems' });
  const kinds = problems.getByRole('link');
  await expect(kinds).toHaveCount(5);
  const further = problems.getByText(/^\d more kinds$/);
  const number = 5 + Number.parseInt((await further.textContent())!, 10);
  await page.emulateMedia({ media: 'print' });
  await expect(kinds).toHaveCount(number);
  await page.emulateMedia({ media: null });
  await expect(kinds).toHaveCount(5);
});

test('a job without updates says what it waits for @javascript @once', async ({ page }) => {
  await page.clock.install();
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await live(page);
  const id = new URL(page.url()).pathname.split('/').pop();
  const job = await (await page.request.get(`/api/jobs/${id}`)).json();
  let state = { ...job, status: 'processing', run: 1, version: job.version + 1 };
  await page.route('**/rpc/command-job', (route) => route.fulfill({ json: state }));
  const started = async () => {
    const answered = page.waitForResponse('**/rpc/command-job');
    await start(page);
    await answered;
  };
  await started();
  await expect(page.getByText('Reading the file…')).toBeVisible();
  await expect(page.getByRole('progressbar')).not.toHaveAttribute('value');
  // The clock also goes on by itself.
  await page.clock.fastForward(41_000);
  await expect(page.getByText('No progress for 40\u00a0s. Waiting for a worker to read the file.')).toBeVisible();

  // An update arrives with an estimate, which then ages.
  state = {
    ...state,
    version: state.version + 1,
    total_records: 100,
    processed_records: 50,
    batch_completed: 1,
    total_batches: 2,
    progress_percent: 50,
    rows_per_second: 2.5,
    eta_seconds: 22,
  };
  await page.reload();
  await live(page);
  await started();
  await expect(page.getByText('Checking rows, about 20\u00a0s left')).toBeVisible();
  await expect(page).toHaveTitle('50% · payments.csv · Batchline');
  await page.clock.fastForward(14_000);
  await expect(page.getByText(/^Checking rows, about (5|10)\u00a0s left$/)).toBeVisible();
  await page.clock.fastForward(8_000);
  await expect(page.getByText('Checking rows, longer than expected…')).toBeVisible();
});

test('a job that was cancelled says after how many rows @large', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  await upload(page, 'long.csv', longFile().content);
  await start(page);
  await page.getByRole(javaScriptEnabled ? 'button' : 'link', { name: 'Cancel…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel job' }).click();
  await expect(page.getByText('Cancelled', { exact: true })).toBeVisible();
  await expect(
    page.getByText(/^Cancelled (after [\d,]+ rows|before any row was checked)\. Retrying starts again from row 1\.$/),
  ).toBeVisible();
});

test.describe('elsewhere', () => {
  test.use({ timezoneId: 'Asia/Tokyo', locale: 'en-GB' });

  test('a time says how long ago it was, in local time and in UTC', async ({ page, javaScriptEnabled }) => {
    await createUser(page);
    const user = page.url();
    await upload(page, 'payments.csv', SAMPLE);
    const details = page.getByRole('region', { name: 'Details' });
    const uploaded = details.locator('dt', { hasText: 'Uploaded' }).locator('xpath=following-sibling::dd');
    await expect(uploaded).toHaveText(/^just now \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
    const exact = uploaded.locator('time').last();
    const at = new Date((await exact.getAttribute('datetime'))!);
    const local = at.toLocaleString('en-GB', { timeZone: 'Asia/Tokyo' });
    if (javaScriptEnabled) {
      await expect(exact).toHaveAttribute('title', `${local} local time`);
      // Visible with any kind of pointer.
      const shown = await exact.evaluate((element) => getComputedStyle(element, '::after').content);
      expect(shown).toContain('local time');
    }
    await page.goto(user);
    const age = page.getByRole('table', { name: 'Files' }).locator('time');
    const utc = at
      .toISOString()
      .replace('T', ' ')
      .replace(/\.\d+Z/, ' UTC');
    await expect(age).toHaveAttribute('title', javaScriptEnabled ? `${local} (${utc})` : utc);
  });
});
