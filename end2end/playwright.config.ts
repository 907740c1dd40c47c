import { existsSync } from 'node:fs';
import { defineConfig, devices } from '@playwright/test';

// The machine's own Chromium if there is one, otherwise Playwright's, which can't be downloaded everywhere.
const executablePath = [process.env.CHROMIUM_PATH, '/usr/bin/chromium'].find((path) => path && existsSync(path));

const chromium = {
  ...devices['Desktop Chrome'],
  launchOptions: {
    executablePath,
    args: [
      // Chromium's sandbox doesn't work for root.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  },
};

export default defineConfig({
  testDir: 'tests',
  globalSetup: './global-setup.ts',
  outputDir: 'test-results',
  workers: 2,
  retries: 0,
  forbidOnly: !!process.env.CI,
  // Generous, because a slow machine is not an error.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  reporter: [['list'], ['html', { open: 'never' }]],
  // Screenshots need a directory, and script/chaos needs its own job.
  grepInvert: [...(process.env.SCREENSHOTS_DIR ? [] : [/@screenshots/]), ...(process.env.CHAOS_JOB ? [] : [/@chaos/])],
  use: {
    baseURL: process.env.BATCHLINE_URL ?? 'http://127.0.0.1:3000',
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
  // The stories with and without JavaScript, wide and narrow, light and dark. Tests tagged @once don't depend on these,
  // and tests tagged @large take too long to repeat.
  projects: [
    { name: 'chromium', use: chromium },
    {
      name: 'phone',
      use: { ...chromium, viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
      grepInvert: /@once|@large|@screenshots|@chaos/,
    },
    {
      name: 'no-javascript',
      use: { ...chromium, javaScriptEnabled: false, colorScheme: 'dark' },
      grepInvert: /@once|@javascript|@screenshots/,
    },
  ],
});
