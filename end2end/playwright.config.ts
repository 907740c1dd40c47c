import { existsSync } from 'node:fs';
import { defineConfig, devices } from '@playwright/test';

// A machine's own Chromium, where Playwright's can't be downloaded; else Playwright's.
const executablePath = [process.env.CHROMIUM_PATH, '/usr/bin/chromium'].find((path) => path && existsSync(path));

const chromium = {
  ...devices['Desktop Chrome'],
  launchOptions: {
    executablePath,
    args: [
      // Chromium's sandbox refuses to work for root.
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
  // Generous: a slow machine is no failure.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  reporter: [['list'], ['html', { open: 'never' }]],
  // Pictures are taken only where somebody says where to put them, and script/chaos brings its own job.
  grepInvert: [...(process.env.SCREENSHOTS_DIR ? [] : [/@screenshots/]), ...(process.env.CHAOS_JOB ? [] : [/@chaos/])],
  use: {
    baseURL: process.env.BATCHLINE_URL ?? 'http://127.0.0.1:3000',
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
  },
  // The stories with and without JavaScript, wide and narrow, light and dark. What is tagged @once
  // doesn't depend on it, and what is tagged @large isn't worth the time.
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
