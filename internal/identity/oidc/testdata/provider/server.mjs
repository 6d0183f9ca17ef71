// An OpenID provider for the tests, on the port of its first argument or a free one of this machine, that sends people back to the addresses of the others, too; run in the folder that holds node_modules.
// POST /control changes it: {"accounts": {...}} who there is, {"rotate": true} new keys.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const { Provider } = await import(pathToFileURL(`${process.cwd()}/node_modules/oidc-provider/lib/index.js`));

const redirects = ['http://127.0.0.1:1/callback', ...process.argv.slice(3)];
const client = (client_id, more) => ({ client_id, client_secret: `${client_id}-secret`, redirect_uris: redirects, ...more });
let accounts = {};

function keys() {
  const jwk = (type, options, more) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', ...more });
  return [jwk('rsa', { modulusLength: 2048 }, { alg: 'RS256' }), jwk('ec', { namedCurve: 'P-256' }, { alg: 'ES256' })];
}

function provider(issuer) {
  return new Provider(issuer, {
    clients: [
      client('adg'),
      client('other'),
      client('elliptic', { id_token_signed_response_alg: 'ES256' }),
      client('hmac', { id_token_signed_response_alg: 'HS256', client_secret: 'a secret that is long enough to be a key of its own' }),
    ],
    jwks: { keys: keys() },
    cookies: { keys: ['only for tests'] },
    conformIdTokenClaims: false, // so that the claims are in the ID token
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'] },
    scopes: ['openid', 'email', 'profile', 'groups'],
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'HS256'] },
    ttl: { IdToken: 60, AccessToken: 60, AuthorizationCode: 60, Interaction: 600, Session: 600, Grant: 600 },
    pkce: { required: () => true },
    findAccount: (ctx, sub) => accounts[sub] && { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) },
  }).callback();
}

let handle;
let issuer;
const server = createServer((request, response) => {
  if (request.url !== '/control') {
    handle(request, response);
    return;
  }
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', () => {
    const change = JSON.parse(body);
    accounts = change.accounts ?? accounts;
    if (change.rotate) handle = provider(issuer);
    response.end();
  });
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  handle = provider(issuer);
  console.log(issuer);
});
process.stdin.resume().on('end', () => process.exit(0)); // with whoever started it
