// The official Node provider of flagd: version 2 over gRPC.
import { FlagdProvider } from '@openfeature/flagd-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk';
import { DUTCH, ZEROS, assay, check, details, eventually, refused, server } from './scenarios.mjs';

const port = Number(process.env.FLAGD_PORT);
const options = { host: '127.0.0.1', port, resolverType: 'rpc', cache: 'lru', deadlineMs: 2000, retryBackoffMaxMs: 500 };
const quiet = { error() {}, warn() {}, info() {}, debug() {} };
OpenFeature.setLogger(quiet);
const heard = [];
OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, (event) => heard.push(['changed', event.flagsChanged]));
OpenFeature.addHandler(ProviderEvents.Stale, () => heard.push(['stale']));
OpenFeature.addHandler(ProviderEvents.Error, () => heard.push(['error']));
OpenFeature.addHandler(ProviderEvents.Ready, () => heard.push(['ready']));
await OpenFeature.setProviderAndWait(new FlagdProvider(options, quiet));
const client = OpenFeature.getClient();
const has = (what) => heard.some(([name]) => name === what);

// Values, variants, reasons.
check('node flagd: split', details(await client.getBooleanDetails('gate', false, DUTCH)), [true, 'on', 'SPLIT']);
const german = { targetingKey: 'u1', country: 'DE' };
check('node flagd: not targeted', details(await client.getBooleanDetails('gate', true, german)), [false, 'off', 'DEFAULT']);
const qa = { targetingKey: 'qa' };
check('node flagd: override', details(await client.getBooleanDetails('overridden', false, qa)), [true, 'override', 'TARGETING_MATCH']);

// Zero values are values, not the caller's default.
check('node flagd: false', details(await client.getBooleanDetails('zero-bool', true, DUTCH)), [false, 'zero', 'DEFAULT']);
check('node flagd: empty text', details(await client.getStringDetails('zero-string', 'x', DUTCH)), ['', 'zero', 'DEFAULT']);
check('node flagd: 0', details(await client.getNumberDetails('zero-number', 7, DUTCH)), [0, 'zero', 'DEFAULT']);
check('node flagd: float', details(await client.getNumberDetails('half', 7, DUTCH)), [0.5, 'half', 'DEFAULT']);
check('node flagd: object', details(await client.getObjectDetails('zero-object', {}, DUTCH)), [ZEROS, 'zero', 'DEFAULT']);

// Errors.
check('node flagd: unknown flag', refused(await client.getBooleanDetails('nowhere', true, DUTCH)), [true, 'ERROR', 'FLAG_NOT_FOUND']);
check('node flagd: another type', refused(await client.getStringDetails('zero-bool', 'x', DUTCH)), ['x', 'ERROR', 'TYPE_MISMATCH']);
check('node flagd: no targeting key', refused(await client.getBooleanDetails('gate', true, {})), [true, 'ERROR', 'GENERAL']);

// Caching.
const done = async (context) => details(await client.getStringDetails('done', '', context));
await eventually('node flagd: static', 20_000, async () => (await done(DUTCH))[2] === 'STATIC');
check('node flagd: cached', await done({ targetingKey: 'somebody else' }), ['new', 'new', 'CACHED']);

// Changes.
heard.length = 0;
assay('flag', 'update', 'change-node', '--name', `changed at ${Date.now()}`);
await eventually('node flagd: a change is heard', 1_000, () => has('changed'));
check('node flagd: of one flag alone', heard, [['changed', ['change-node']]]);
assay('flag', 'update', 'done', '--name', `changed at ${Date.now()}`);
await eventually('node flagd: what was kept is forgotten', 1_000, async () => (await done(DUTCH))[2] !== 'CACHED');

// Reconnect.
heard.length = 0;
server('stop');
await eventually('node flagd: the provider knows that we are away', 10_000, () => has('stale') || has('error'));
heard.length = 0;
server('start');
await eventually('node flagd: ready again', 20_000, () => has('ready'));
check('node flagd: answers again', details(await client.getBooleanDetails('gate', false, DUTCH)), [true, 'on', 'SPLIT']);
await OpenFeature.close();
process.exit(0);
