import { Client } from 'pg';

/**
 * Slows the commits of large files down, as on a slow disk, because otherwise a job is over before a test has paused
 * it. Small files, which are committed in a single step, are as fast as usual.
 */
export default async function slowDown() {
  const connectionString = process.env.SLOW_DATABASE_URL;
  if (!connectionString) return;
  const client = new Client({ connectionString });
  await client.connect();
  await client.query(`
    create or replace function slow_down() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.3); return null; end $$;
    create or replace trigger slow_down after update on job_chunks for each row execute function slow_down();
  `);
  await client.end();
}
