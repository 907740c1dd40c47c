#!/usr/bin/env node
// An OpenID Connect provider for the server's tests: oidc-provider with its own sign-in pages. PUT /people/SUBJECT
// creates a person with the given claims. Ends when its standard input ends.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const { PORT = '0', CLAIMS_IN_ID_TOKEN } = process.env;
const server = createServer();
await new Promise((listening) => server.listen(Number(PORT), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const people = new Map();
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'batchline',
      client_secret: 'quite secret: 100% +',
      // Its pages may use any port of the loopback address (RFC 8252, 7.3).
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/sign-in/openid/callback'],
      post_logout_redirect_uris: ['http://127.0.0.1/sign-in'],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['for the tests'] },
  claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: !CLAIMS_IN_ID_TOKEN,
  findAccount: (_, sub) => people.has(sub) && { accountId: sub, claims: () => ({ sub, ...people.get(sub) }) },
});
provider.on('server_error', (_, error) => console.error(error));

const answer = provider.callback();
server.on('request', async (request, response) => {
  const [, subject] = request.url.match(/^\/people\/(.+)/) ?? [];
  if (!subject) return answer(request, response);
  people.set(subject, await json(request));
  response.end();
});
console.log(`provider ready: ${issuer}`);
process.stdin.on('end', () => process.exit()).resume();
