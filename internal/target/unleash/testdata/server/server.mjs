// The server of feature flags that the target is tested against: the open source one, on a database of the test's.
// It prints its address when it answers, and ends with whoever started it.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The packages are where the process was started, which is not where this file is.
const { start } = await import(pathToFileURL(createRequire(`${process.cwd()}/`).resolve('unleash-server')));

const [database, admin, client] = process.argv.slice(2);
const token = (secret, type, environment) => ({ secret, tokenName: type, type, projects: ['*'], environment });
const { server } = await start({
  databaseUrl: database,
  db: { ssl: false, pool: { min: 0, max: 4 } },
  server: { port: 0, host: '127.0.0.1', gracefulShutdownEnable: false },
  authentication: {
    createAdminUser: false,
    initApiTokens: [token(admin, 'admin', '*'), token(client, 'client', 'development')],
  },
  versionCheck: { enable: false },
  telemetry: false,
  logLevel: 'fatal',
  // Users' programs read the flag through this cache: it is what a rollback has to get through.
  clientFeatureCaching: { enabled: true, maxAge: 600 },
});
console.log(`http://127.0.0.1:${server.address().port}`);
process.stdin.resume().on('end', () => process.exit(0));
