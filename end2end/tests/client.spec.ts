// A client generated from the OpenAPI description compiles and performs the main tasks.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';

const api = process.env.BATCHLINE_API_URL ?? 'http://127.0.0.1:8000';

test('a generated client uploads, starts, waits, pages and downloads @once', async ({ request }, { outputDir }) => {
  const run = (program: string, ...args: string[]) =>
    execFileSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 120_000 });
  const bin = (path: string) => join('node_modules', path);
  mkdirSync(outputDir, { recursive: true });
  const [description, schema, program] = ['openapi.json', 'schema.d.ts', 'job.ts'].map((name) => join(outputDir, name));
  writeFileSync(description, await (await request.get(`${api}/openapi.json`)).text());
  run(bin('openapi-typescript/bin/cli.js'), description, '--output', schema);
  copyFileSync('client/job.ts', program);
  writeFileSync(join(outputDir, 'package.json'), '{"type": "module"}');
  const options = [
    '--strict',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--lib',
    'es2022,dom',
    '--typeRoots',
    outputDir,
  ];
  run(bin('typescript/bin/tsc'), ...options, program);
  expect(JSON.parse(run(join(outputDir, 'job.js'), api))).toEqual({
    status: 'completed',
    valid: 23,
    date: '2024-04-03',
    codes: ['amount.not_a_number'],
    invalid: 22,
    lines: 23,
    refused: '/problems/conflict',
  });
});
