// The main job by a client that is generated from the OpenAPI description: a user, a file, its verdicts.
// `schema.d.ts` is made by the test that compiles and runs this.

import createClient from 'openapi-fetch';
import type { components, paths } from './schema.js';

declare const process: { argv: string[] };
const [baseUrl, token] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl, headers: token ? { authorization: `Bearer ${token}` } : {} });

type Problem = components['schemas']['Problem'];

function done<T>({ data, error, response }: { data?: T; error?: Problem; response: Response }): T {
  if (error || data === undefined) throw new Error(`${response.status} ${error?.type}: ${error?.detail}`);
  return data;
}

const rows = Array.from({ length: 45 }, (_, row) => `T${row},${row % 2 ? 'x' : '1.50'},03/04/2024`);
const file = new Blob([['transaction_id,amount,date', ...rows].join('\n')], { type: 'text/csv' });

const email = `client-${Date.now()}@example.com`;
const user = done(await api.POST('/users', { body: { name: 'Client', email } }));
const refused = await api.POST('/users', { body: { name: 'Client', email } });

const job = done(
  await api.POST('/jobs', {
    params: { query: { user_id: user.id } },
    body: { file: '', format: { date_order: 'dmy' } },
    bodySerializer: ({ format }) => {
      const form = new FormData();
      form.append('file', file, 'payments.csv');
      form.append('format', JSON.stringify(format));
      return form;
    },
  }),
);
const path = { job_id: job.id };
done(await api.POST('/jobs/{job_id}/start', { params: { path } }));

const deadline = Date.now() + 60_000;
let state = done(await api.GET('/jobs/{job_id}', { params: { path } }));
while (state.status === 'pending' || state.status === 'processing') {
  if (Date.now() > deadline) throw new Error(`still ${state.status}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  state = done(await api.GET('/jobs/{job_id}', { params: { path } }));
}

const invalid: components['schemas']['Transaction'][] = [];
for (let page = 1, more = true; more; page++) {
  const answer = await api.GET('/jobs/{job_id}/transactions', {
    params: { path, query: { filter: 'invalid', page, size: 10 } },
  });
  invalid.push(...done(answer));
  more = answer.response.headers.get('link')?.includes('rel="next"') ?? false;
}
const csv = done(
  await api.GET('/jobs/{job_id}/results.csv', { params: { path, query: { filter: 'invalid' } }, parseAs: 'text' }),
);
await api.DELETE('/users/{user_id}', { params: { path: { user_id: user.id } } });

console.log(
  JSON.stringify({
    status: state.status,
    valid: state.valid_records,
    date: invalid[0]?.date,
    codes: [...new Set(invalid.flatMap((row) => row.errors.map(({ code }) => code)))],
    invalid: invalid.length,
    lines: csv.trim().split('\n').length,
    refused: refused.error?.type,
  }),
);
