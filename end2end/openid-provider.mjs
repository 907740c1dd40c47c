#!/usr/bin/env node
// An OpenID Connect provider for the server's tests: oidc-provider with its own sign-in pages. PUT /people/SUBJECT
// creates a person with the given claims. PUT /flaw/FLAW makes it sign ID tokens with a flaw from then on. Ends when its
// standard input ends.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const { PORT = '0', CLAIMS_IN_ID_TOKEN } = process.env;
const server = createServer();
await new Promise((listening) => server.listen(Number(PORT), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const client_secret = 'quite secret: 100% +';
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const [privateKey, anotherKey] = [newKey(), newKey()];

const people = new Map();
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'batchline',
      client_secret,
      // Its pages may use any port of the loopback address (RFC 8252, 7.3).
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/sign-in/openid/callback'],
      post_logout_redirect_uris: ['http://127.0.0.1/sign-in'],
      id_token_signed_response_alg: 'ES256',
      require_auth_time: true,
    },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['for the tests'] },
  claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: !CLAIMS_IN_ID_TOKEN,
  findAccount: (_, sub) => people.has(sub) && { accountId: sub, claims: () => ({ sub, ...people.get(sub) }) },
});
provider.on('server_error', (_, error) => console.error(error));

let flaw;
// Signs the claims of an ID token again. The flaw "none" changes nothing.
function flawed(token) {
  const [header, claims] = token.split('.', 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  if (flaw === 'audience') claims.aud = 'another-client';
  if (flaw === 'audiences') claims.aud = ['batchline', 'another-client'];
  if (flaw === 'issuer') claims.iss = 'https://evil.example';
  if (flaw === 'expired') claims.exp = claims.iat - 1;
  if (flaw.startsWith('acr:')) claims.acr = flaw.slice(4);
  if (flaw === 'old') claims.auth_time = claims.iat - 3600;
  if (flaw === 'undated') delete claims.auth_time;
  if (flaw === 'unsigned') header.alg = 'none';
  if (flaw === 'HS256') header.alg = 'HS256';
  const part = (json) => Buffer.from(JSON.stringify(json)).toString('base64url');
  const content = `${part(header)}.${part(claims)}`;
  const key = flaw === 'key' ? anotherKey : privateKey;
  const signature = {
    none: () => '',
    HS256: () => createHmac('sha256', client_secret).update(content).digest('base64url'),
    ES256: () => sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  };
  return `${content}.${signature[header.alg]()}`;
}

provider.use(async (context, next) => {
  await next();
  if (flaw && context.oidc?.route === 'token') context.body.id_token = flawed(context.body.id_token);
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  const [, kind, name] = request.url.match(/^\/(people|flaw)\/(.+)/) ?? [];
  if (!kind) return answer(request, response);
  if (kind === 'people') people.set(name, await json(request));
  else flaw = name;
  response.end();
});
console.log(`provider ready: ${issuer}`);
process.stdin.on('end', () => process.exit()).resume();
