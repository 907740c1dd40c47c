import { expect, test } from '@playwright/test';
import {
  SAMPLE,
  completed,
  createUser,
  expectCounts,
  generated,
  listed,
  live,
  signal,
  start,
  upload,
} from './batchline';

test('two tabs show the same progress @javascript', async ({ page, context }) => {
  await createUser(page);
  const dashboard = page.url();
  await upload(page, 'payments.csv', SAMPLE);

  const list = await context.newPage();
  const listening = list.waitForEvent('websocket', (socket) => socket.url().includes('/api/ws/'));
  await list.goto(dashboard);
  const file = listed(list);
  await expect(file).toContainText('Pending');
  // Connected before the job starts.
  await listening;

  await start(page);
  await completed(page);
  await expect(file).toContainText('Completed');
  await expect(file.getByRole('cell', { name: /^(Rows )?4$/ })).toBeVisible();
});

test('a list that arrives late and outdated is fetched again @javascript @once', async ({ page, context }) => {
  const received = new Promise<void>((resolve) =>
    page.on('websocket', (socket) =>
      socket.on('framereceived', ({ payload }) => {
        if (String(payload).includes('"completed"')) resolve();
      }),
    ),
  );
  await createUser(page);
  const dashboard = page.url();
  await live(page);
  // A message about a job that another tab started makes the page fetch itself. Delays the first response that shows the
  // running job until it is completed.
  let began = '';
  await page.route(dashboard, async (route) => {
    const response = await route.fetch();
    const body = await response.text();
    if (!began && body.includes('data-status="processing"')) {
      began = body;
      await received;
    }
    await route.fulfill({ response, body });
  });
  const other = await context.newPage();
  await other.goto(dashboard);
  await upload(other, 'long.csv', generated(200_000).content);
  await start(other);
  await completed(other);
  const file = listed(page);
  await expect(file).toContainText('Completed');
  expect(began).not.toBe('');
  await expect(file.getByRole('cell', { name: /^(Rows )?200,000$/ })).toBeVisible();
});

test('a job that is deleted elsewhere looks deleted @javascript', async ({ page, context }) => {
  await createUser(page);
  const user = page.url();
  await upload(page, 'payments.csv', SAMPLE);
  await start(page);
  await completed(page);
  const other = await context.newPage();
  const listening = other.waitForEvent('websocket', (socket) => socket.url().includes('/api/ws/'));
  await other.goto(page.url());
  await (await listening).waitForEvent('framereceived');
  const list = await context.newPage();
  const listed = list.waitForEvent('websocket', (socket) => socket.url().includes('/api/ws/'));
  await list.goto(user);
  await (await listed).waitForEvent('framereceived');

  await page.getByRole('button', { name: 'Delete file…' }).click();
  await page.getByRole('button', { name: 'Delete file', exact: true }).click();
  await expect(page.getByText('No files yet')).toBeVisible();
  await expect(other.getByRole('heading', { level: 1, name: 'Job not found' })).toBeVisible();
  await expect(list.getByText('No files yet')).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('heading', { level: 1, name: 'Job not found' })).toBeVisible();
});

test('started in two tabs, a job runs once', async ({ page, context, javaScriptEnabled }) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  const other = await context.newPage();
  await other.goto(page.url());
  const button = { name: 'Start processing' };
  await expect(other.getByRole('button', button)).toBeVisible();

  await start(page);
  const again = other.getByRole('button', button);
  if (javaScriptEnabled) {
    // The other tab may have received the update before the click. Then the button no longer exists.
    await again.click({ timeout: 2_000 }).catch(() => {});
  } else {
    await again.click();
  }

  for (const tab of [page, other]) {
    await completed(tab);
    await expectCounts(tab, { 'Total rows': '4', Processed: '4', Valid: '4', Suspicious: '1' });
  }
  const id = page.url().match(/\/jobs\/(\d+)/)?.[1];
  const job = await (await page.request.get(`/api/jobs/${id}`)).json();
  expect(job).toMatchObject({ run: 1, processed_records: 4, status: 'completed' });
});

test('a lost connection is shown, and restored by itself @javascript @once', async ({ page, context }) => {
  await createUser(page);
  const lost = page.getByText('Connection lost. Reconnecting…');
  await expect(lost).toHaveCount(0);

  let serverGone = false;
  let answered = false;
  const sockets = new Set<{ close(): Promise<void> }>();
  await page.routeWebSocket('**/api/ws/*', async (socket) => {
    if (serverGone) {
      await socket.close();
      return;
    }
    const server = socket.connectToServer();
    server.onMessage((message) => {
      answered = true;
      socket.send(message);
    });
    sockets.add(socket);
  });
  await page.reload();
  await expect.poll(() => answered).toBe(true);

  serverGone = true;
  for (const socket of sockets) await socket.close();
  await expect(lost).toBeVisible();

  // Something changes in another tab in the meantime.
  const other = await context.newPage();
  await other.goto(page.url());
  await upload(other, 'meanwhile.csv', SAMPLE);

  serverGone = false;
  await expect(lost).toHaveCount(0);
  await expect(page.getByRole('link', { name: 'meanwhile.csv' })).toBeVisible();
});

test('what changes while a page becomes live is shown @javascript @once', async ({ page, context }) => {
  await createUser(page);
  const { send: loads, sent: isLoaded } = signal();
  await page.route('**/*.wasm', async (route) => {
    await isLoaded;
    await route.continue();
  });
  await page.reload({ waitUntil: 'commit' });
  await expect(page.getByText('No files yet')).toBeVisible();

  const other = await context.newPage();
  await other.goto(page.url());
  await upload(other, 'meanwhile.csv', SAMPLE);

  loads();
  await expect(page.getByRole('link', { name: 'meanwhile.csv' })).toBeVisible();
});

test('a page that could not be fetched again is fetched until it can @javascript @once', async ({ page, context }) => {
  await createUser(page);
  await page.clock.install();
  const isRefresh = (url: URL) => url.pathname.startsWith('/users/');
  // The first answer is lost, the second is a proxy's.
  let tries = 0;
  await page.route(isRefresh, async (route) => {
    if (!('x-batchline-parts' in route.request().headers())) return route.continue();
    tries += 1;
    if (tries === 2) return route.fulfill({ status: 502, body: 'Bad gateway' });
    if (tries > 2) return route.continue();
  });
  await page.reload();
  await expect.poll(() => tries).toBe(1);

  const other = await context.newPage();
  await other.goto(page.url());
  await upload(other, 'meanwhile.csv', SAMPLE);

  const uploaded = page.getByRole('link', { name: 'meanwhile.csv' });
  await expect(async () => {
    await page.clock.fastForward(10_000);
    await expect(uploaded).toBeVisible({ timeout: 1_000 });
  }).toPass({ timeout: 60_000 });
  expect(tries).toBeGreaterThan(2);
});
