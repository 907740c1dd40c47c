import { expect, test, type APIRequestContext, type Page } from '@playwright/test';
import { SAMPLE, completed, createUser, listed, live, longFile, refreshed, signal, start, upload } from './batchline';
import { proxy } from './proxy';

const MIXED = 'transaction_id,amount,date\nA,1,2024-01-01\nB,x,2024-01-01\nC,2,2024-01-01\n';

const idOf = (page: Page) => page.url().match(/\/users\/(\d+)/)![1];

async function send(request: APIRequestContext, userId: string, name: string, content: string | Buffer) {
  const file = { name, mimeType: 'text/csv', buffer: Buffer.from(content) };
  const answer = await request.post(`/api/jobs?user_id=${userId}`, { multipart: { file } });
  expect(answer.status()).toBe(201);
  return (await answer.json()).id as number;
}

const select = (page: Page, name: string) => page.getByRole('checkbox', { name: `Select ${name}` });
const tab = (page: Page, name: string) =>
  page.getByRole('navigation', { name: 'Filter by status' }).getByRole('link', { name });

test("everybody's jobs are found by file and user, filtered, ordered and paged", async ({ page, request }) => {
  const user = await createUser(page);
  const userId = idOf(page);
  const ids: number[] = [];
  for (let number = 1; number <= 51; number++) {
    ids.push(await send(request, userId, `file-${number}.csv`, number === 7 ? MIXED : SAMPLE));
  }
  expect((await request.post(`/api/jobs/${ids[6]}/start`)).status()).toBe(202);
  await expect.poll(async () => (await (await request.get(`/api/jobs/${ids[6]}`)).json()).status).toBe('completed');

  await page.goto('/');
  await page.getByRole('searchbox', { name: 'Search files and users' }).fill(user.email.toUpperCase());
  await page.getByRole('button', { name: 'Search' }).click();
  const jobs = listed(page, 'Jobs');
  await expect(page.getByText('1–50 of 51 jobs')).toBeVisible();
  await expect(jobs).toHaveCount(50);
  await expect(jobs.first()).toContainText('file-51.csv');
  await expect(jobs.first()).toContainText(user.name);
  await expect(tab(page, 'All')).toHaveText(/51$/);
  await expect(tab(page, 'Pending')).toHaveText(/50$/);
  await page.getByRole('link', { name: 'Next' }).click();
  await expect(jobs).toHaveCount(1);
  await expect(jobs).toContainText('file-1.csv');
  await page.goBack();
  await expect(jobs).toHaveCount(50);

  await tab(page, 'Completed').click();
  await expect(jobs).toHaveCount(1);
  await expect(jobs.getByRole('cell', { name: /^(Invalid )?1 33\.3%$/ })).toBeVisible();
  await jobs.getByRole('link', { name: '1', exact: true }).click();
  await expect(page).toHaveURL(/\/jobs\/\d+\?filter=invalid/);
  await page.goBack();
  await tab(page, 'All').click();
  await expect(jobs).toHaveCount(50);

  // A wide table is ordered by its header, the cards on a phone by a select.
  if (page.viewportSize()!.width < 600) {
    await live(page);
    await page.getByRole('combobox', { name: 'Order' }).selectOption('Most invalid');
  } else {
    await page.getByRole('columnheader', { name: 'Invalid' }).getByRole('link').click();
    await expect(page.getByRole('columnheader', { name: 'Invalid' })).toHaveAttribute('aria-sort', 'descending');
  }
  await expect(page).toHaveURL(/sort=-invalid/);
  await expect(jobs.first()).toContainText('file-7.csv');

  await page.getByLabel('To', { exact: true }).fill('2024-01-01');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByText('No job matches this filter and search.')).toBeVisible();
  await page.getByRole('link', { name: 'Show all jobs' }).click();
  await expect(page).toHaveURL(/\/$/);
  await page.goto('/?status=odd&from=yesterday');
  await expect(page.getByText('Status must be pending')).toContainText('from must be a date like 2024-01-31.');
});

test("several jobs are started together, and what can't be is reported", async ({ page, request }) => {
  await createUser(page);
  const userId = idOf(page);
  const done = await send(request, userId, 'done.csv', 'no,header\n');
  await request.post(`/api/jobs/${done}/start`);
  await expect.poll(async () => (await (await request.get(`/api/jobs/${done}`)).json()).status).toBe('failed');
  for (const name of ['one.csv', 'two.csv', 'three.csv']) await send(request, userId, name, SAMPLE);
  await page.reload();
  for (const name of ['one.csv', 'two.csv', 'done.csv']) await select(page, name).check();
  const bulk = page.getByRole('group', { name: 'Selected jobs' });
  await bulk.getByRole('button', { name: 'Start', exact: true }).click();
  const notice = page.getByRole('status').filter({ hasText: 'started' });
  await expect(notice).toContainText('2 jobs were started. 1 job was not started.');
  await expect(notice).toContainText('done.csv: Only a pending job can be started; this one is failed.');
  // The notice is shown only once.
  await page.reload();
  await expect(notice).toHaveCount(0);
  await expect(listed(page).getByText('Completed', { exact: true })).toHaveCount(2);

  // A single job, by its own button.
  await page.getByRole('button', { name: 'Start three.csv' }).click();
  await expect(page.getByText('three.csv was started.')).toBeVisible();
  await expect(listed(page).getByText('Completed', { exact: true })).toHaveCount(3);
});

test('deleting several jobs asks first, by number and size', async ({ page, request }) => {
  await createUser(page);
  const user = page.url();
  for (const name of ['one.csv', 'two.csv', 'three.csv']) await send(request, idOf(page), name, SAMPLE);
  await page.reload();
  // The list is as wide as the page, however short its lines are.
  const width = async (of: string) => (await page.locator(of).boundingBox())!.width;
  expect(await width('.jobs-frame')).toBeCloseTo(await width('.jobs'), 0);
  await select(page, 'one.csv').check();
  await select(page, 'two.csv').check();
  await page.getByRole('group', { name: 'Selected jobs' }).getByRole('button', { name: 'Delete…' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Delete 2 jobs?' })).toBeVisible();
  await expect(
    page.getByText(`This deletes 2 jobs with their files (${SAMPLE.length * 2} bytes), rows and results.`),
  ).toBeVisible();
  await page.getByRole('link', { name: 'Keep them' }).click();
  await expect(page).toHaveURL(user);
  await expect(listed(page)).toHaveCount(3);
  await page.goBack();
  await page.getByRole('button', { name: 'Delete 2 jobs' }).click();
  await expect(page).toHaveURL(user);
  await expect(page.getByText('2 jobs were deleted.')).toBeVisible();
  await expect(listed(page)).toHaveCount(1);
  await expect(page.getByRole('heading', { name: 'Files 1' })).toBeVisible();
});

test('all jobs of a page are selected at once @javascript', async ({ page, request }) => {
  await createUser(page);
  for (const name of ['one.csv', 'two.csv', 'three.csv']) await send(request, idOf(page), name, SAMPLE);
  await page.reload();
  await live(page);
  const all = page.getByRole('checkbox', { name: 'Select all on this page' });
  const bulk = page.getByRole('group', { name: 'Selected jobs' });
  await expect(bulk).toBeHidden();
  await select(page, 'one.csv').check();
  await expect(bulk).toBeVisible();
  expect(await all.evaluate((box: HTMLInputElement) => box.indeterminate)).toBe(true);
  await all.check();
  for (const name of ['two.csv', 'three.csv']) await expect(select(page, name)).toBeChecked();
  await select(page, 'two.csv').uncheck();
  await expect(all).not.toBeChecked();
  // The selection survives when a new job appears above it.
  await send(request, idOf(page), 'four.csv', SAMPLE);
  await expect(listed(page)).toHaveCount(4);
  await expect(select(page, 'one.csv')).toBeChecked();
  await expect(select(page, 'four.csv')).not.toBeChecked();
  // Enter in a checkbox starts nothing.
  await select(page, 'four.csv').focus();
  await page.keyboard.press('Enter');
  await expect(select(page, 'one.csv')).toBeChecked();
  await bulk.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByText(/No job was cancelled\./)).toBeVisible();
  await expect(bulk).toBeHidden();
  await expect(listed(page).getByText('Pending', { exact: true })).toHaveCount(4);
});

test('the list of all jobs is live, running ones on top @javascript @large', async ({ page, request }) => {
  await createUser(page);
  const userId = idOf(page);
  const long = await send(request, userId, 'long.csv', longFile().content);
  await send(request, userId, 'newer.csv', SAMPLE);
  const listening = page.waitForEvent('websocket', (socket) => socket.url().endsWith('/api/ws'));
  await page.goto(`/?q=${encodeURIComponent((await (await request.get(`/api/users/${userId}`)).json()).email)}`);
  await live(page);
  await listening;
  await page.evaluate(() => Object.assign(window, { stayed: true }));
  const jobs = listed(page, 'Jobs');
  await expect(jobs.first()).toContainText('newer.csv');
  await select(page, 'newer.csv').focus();

  await request.post(`/api/jobs/${long}/start`);
  await expect(jobs.first()).toContainText('long.csv');
  await expect(jobs.first().getByRole('progressbar')).toBeVisible();
  await expect(page).toHaveTitle(/running · Jobs · Batchline$/);
  // The focused element keeps the focus, although it has moved.
  await expect(select(page, 'newer.csv')).toBeFocused();
  await expect(page.locator('#announcement')).toHaveText(/long\.csv is being processed\./);
  // The job may be completed by now.
  await request.post(`/api/jobs/${long}/cancel`);
  await expect(jobs.filter({ hasText: 'long.csv' })).toContainText(/Cancelled|Completed/);
  await expect(jobs.first()).toContainText('newer.csv');
  await expect(page.locator('#announcement')).toHaveText(/long\.csv is (cancelled|completed)\b/);
  expect(await page.evaluate(() => 'stayed' in window)).toBe(true);
});

test('the second half of a double click in a list gives no other command @javascript @large @once', async ({
  page,
  request,
}) => {
  await createUser(page);
  await send(request, idOf(page), 'a.csv', longFile().content);
  await page.reload();
  await live(page);
  let posts = 0;
  page.on('request', (sent) => (posts += Number(sent.method() === 'POST')));
  await page.getByRole('button', { name: 'Start a.csv' }).click();
  const pause = page.getByRole('button', { name: 'Pause a.csv' });
  await expect(pause).toBeVisible();
  const { x, y } = (await pause.boundingBox())!;
  await page.mouse.move(x + 5, y + 5);
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
  await refreshed(page);
  expect(posts).toBe(1);
  await select(page, 'a.csv').check();
  await page.getByRole('group', { name: 'Selected jobs' }).getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByText('a.csv was cancelled.')).toBeVisible();
});

test('each command in a list is carried out, although others are pending @javascript @once', async ({
  page,
  request,
  baseURL,
}) => {
  await createUser(page);
  for (const name of ['one.csv', 'two.csv', 'three.csv']) await send(request, idOf(page), name, SAMPLE);
  const { send: answer, sent: isAnswered } = signal();
  let posts = 0;
  const slow = await proxy(baseURL!, {
    before: async ({ method }) => {
      if (method !== 'POST') return;
      posts += 1;
      await isAnswered;
    },
  });
  await page.goto(slow.through(page.url()));
  await live(page);
  await select(page, 'one.csv').check();
  const bulk = page.getByRole('group', { name: 'Selected jobs' });
  await bulk.getByRole('button', { name: 'Start', exact: true }).click();
  await expect.poll(() => posts).toBe(1);
  await bulk.getByRole('button', { name: 'Start', exact: true }).click();
  await page.getByRole('button', { name: 'Start two.csv' }).click();
  await select(page, 'three.csv').check();
  answer();
  await expect(page.getByText('two.csv was started.')).toBeVisible();
  await expect(listed(page).getByText('Completed', { exact: true })).toHaveCount(2);
  expect(posts).toBe(2);
  // What was selected in the meantime stays selected.
  await expect(select(page, 'three.csv')).toBeChecked();
  await expect(select(page, 'one.csv')).not.toBeChecked();

  await page.route('**/jobs/commands', (route) =>
    route.fulfill({
      status: 429,
      contentType: 'text/html',
      body: '<section class="failure"><p class="eyebrow">429</p><p>Too many requests.</p></section>',
    }),
  );
  await page.getByRole('button', { name: 'Start three.csv' }).click();
  await expect(page.locator('#trouble')).toHaveText('Too many requests.');
  slow.close();
});

test('jobs can be selected without JavaScript while one is running @large', async ({
  page,
  request,
  javaScriptEnabled,
}) => {
  test.skip(javaScriptEnabled !== false, 'with JavaScript the page is not reloaded');
  await createUser(page);
  const userId = idOf(page);
  await send(request, userId, 'pending.csv', SAMPLE);
  const long = await send(request, userId, 'long.csv', longFile().content);
  await request.post(`/api/jobs/${long}/start`);
  await page.reload();
  await expect(page.locator('meta[http-equiv=refresh]')).toHaveCount(1);
  await expect(select(page, 'pending.csv')).toBeHidden();
  await page.getByRole('link', { name: 'Select jobs' }).click();
  await expect(page.locator('meta[http-equiv=refresh]')).toHaveCount(0);
  await page.getByRole('link', { name: 'Select all on this page' }).click();
  await expect(select(page, 'pending.csv')).toBeChecked();
  await page.getByRole('group', { name: 'Selected jobs' }).getByRole('button', { name: 'Cancel' }).click();
  // The long job may be completed by now.
  await expect(page.getByText(/jobs? (was|were) not cancelled|No job was cancelled/)).toBeVisible();
});

test('the home page says how to start', async ({ page }) => {
  await page.goto('/users');
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Jobs' }).click();
  await expect(page.getByRole('heading', { level: 1, name: /^Check every/ })).toBeVisible();
  await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: 'Users' }).click();
  await expect(page.getByRole('button', { name: 'Create user' })).toBeVisible();
});

test('a finished job is in the list of its user with its rows', async ({ page }) => {
  await createUser(page);
  const user = page.url();
  await upload(page, 'payments.csv', MIXED);
  await start(page);
  await completed(page);
  await page.goto(user);
  await expect(listed(page)).toContainText('payments.csv');
  await expect(listed(page).getByRole('cell', { name: /^(Rows )?3$/ })).toBeVisible();
  await expect(listed(page).getByRole('cell', { name: /^(Invalid )?1 33\.3%$/ })).toBeVisible();
});
