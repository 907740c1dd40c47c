import { expect, test } from '@playwright/test';
import { SAMPLE, completed, count, createUser, expectCounts, live, longFile, signal, start, upload } from './batchline';
import { proxy } from './proxy';

test('a job is paused, resumed, cancelled and retried @large', async ({ page, javaScriptEnabled }) => {
  await createUser(page);
  const { content, counts } = longFile();
  await upload(page, 'long.csv', content);
  // From here on the page is live. Before, the form would be sent as without JavaScript, and the page replaced.
  if (javaScriptEnabled) await live(page);
  const startButton = await page.getByRole('button', { name: 'Start processing' }).elementHandle();
  await start(page);

  const pause = page.getByRole('button', { name: 'Pause' });
  await expect(pause).toBeVisible();
  await expect(page).toHaveURL(/\/jobs\/\d+$/);
  // The button isn't the same one with another name, so a click meant for "Start" can't pause.
  if (javaScriptEnabled) expect(await startButton!.evaluate((button) => button.isConnected)).toBe(false);
  await pause.click();
  await expect(page.getByText('Paused', { exact: true })).toBeVisible();
  await expect(page.getByText(/^Paused\. Resume to continue/)).toBeVisible();
  // The status is shown before the server has answered, the next command after that.
  await expect(page.getByRole('button', { name: 'Resume' })).toBeVisible();
  await page.reload();
  const processed = await count(page, 'Processed').textContent();
  await expect(page).toHaveTitle('Paused · long.csv · Batchline');
  // The page of a job that isn't running doesn't reload.
  await expect(page.locator('meta[http-equiv=refresh]')).toHaveCount(0);
  await page.reload();
  await expect(count(page, 'Processed')).toHaveText(processed!);

  await page.getByRole('button', { name: 'Resume' }).click();
  await expect(page.getByText('Processing', { exact: true })).toBeVisible();
  // While paused, the job can't complete before the question below is answered.
  await pause.click();
  await expect(page.getByText('Paused', { exact: true })).toBeVisible();
  // Without JavaScript the question has its own address, at which the page leaves time to answer.
  await page.getByRole(javaScriptEnabled ? 'button' : 'link', { name: 'Cancel…' }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel this job?' });
  await dialog.getByRole('button', { name: 'Cancel job' }).click();
  await expect(page.getByText('Cancelled', { exact: true })).toBeVisible();
  await expect(page).toHaveTitle('Cancelled · long.csv · Batchline');

  await page.getByRole('button', { name: 'Retry' }).click();
  await completed(page);
  const [rows, valid] = [counts.rows, counts.valid].map((count) => count.toLocaleString('en'));
  await expectCounts(page, { 'Total rows': rows, Processed: rows, Valid: valid });
});

test('the second half of a double click gives no other command @javascript @large @once', async ({ page }) => {
  await createUser(page);
  await upload(page, 'long.csv', longFile().content);
  // From here on the page is live.
  await live(page);
  const button = (await page.getByRole('button', { name: 'Start processing' }).boundingBox())!;
  await page.mouse.move(button.x + 20, button.y + 20);
  await page.mouse.down();
  await page.mouse.up();
  await expect(page.getByRole('button', { name: 'Pause' })).toBeVisible();
  const pause = (await page.getByRole('button', { name: 'Pause' }).boundingBox())!;
  await page.mouse.move(pause.x + 20, pause.y + 20);
  await page.mouse.down({ clickCount: 2 });
  await page.mouse.up({ clickCount: 2 });
  await completed(page);
});

test('a command shows its effect at once, and reverts it if it fails @javascript @once', async ({ page }) => {
  await createUser(page);
  await upload(page, 'small.csv', 'transaction_id,amount,date\nA,1,2024-01-01\n');
  await live(page);
  const { send: answer, sent: asked } = signal();
  await page.route('**/rpc/**', async (route) => {
    await asked;
    await route.abort();
  });
  await page.getByRole('button', { name: 'Start processing' }).click();
  await expect(page.getByText('Processing', { exact: true })).toBeVisible();
  await expect(page.getByText('Reading the file…')).toBeVisible();
  // There is nothing to pause yet.
  await expect(page.getByRole('button', { name: 'Starting…' })).toBeDisabled();
  await expect(page.getByRole('button', { name: 'Pause' })).toHaveCount(0);
  answer();
  await expect(page.getByText('Pending', { exact: true })).toBeVisible();
  await expect(page.getByText(/The server can't be reached/)).toBeVisible();

  await page.unroute('**/rpc/**');
  await page.getByRole('button', { name: 'Start processing' }).click();
  await completed(page);
});

test('a command is carried out although the user leaves the page at once @javascript @once', async ({
  page,
  baseURL,
}) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  const job = page.url();
  const { send: left, sent: isLeft } = signal();
  const slow = await proxy(baseURL!, { before: async ({ method }) => (method === 'POST' ? isLeft : undefined) });
  await page.goto(slow.through(job));
  await live(page);
  const asked = page.waitForRequest('**/rpc/**');
  await start(page);
  await expect(page.getByText('Processing', { exact: true })).toBeVisible();
  await asked;
  await page.goto(job);
  await expect(page.getByText('Pending', { exact: true })).toBeVisible();
  left();
  await completed(page);
  slow.close();
});

test('a command that gets no answer is not shown as done for long @javascript @once', async ({ page }) => {
  await createUser(page);
  await upload(page, 'payments.csv', SAMPLE);
  await page.clock.install();
  await page.reload();
  await live(page);
  const { send: answer, sent: isAnswered } = signal();
  await page.route('**/rpc/**', async (route) => {
    await isAnswered;
    await route.continue();
  });
  await start(page);
  await expect(page.getByText('Processing', { exact: true })).toBeVisible();
  await page.clock.fastForward(10_000);
  await expect(page.getByText('Pending', { exact: true })).toBeVisible();
  const sentence = page.getByText("The server hasn't answered yet. The command may still take effect.");
  await expect(sentence).toBeVisible();
  await expect(page.getByRole('button', { name: 'Start processing' })).toBeEnabled();
  answer();
  await completed(page);
  await expect(sentence).toHaveCount(0);
});
