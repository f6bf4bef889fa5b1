// The official provider of flagd for browsers: version 1 over Connect in JSON.
import { FlagdWebProvider } from '@openfeature/flagd-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { DUTCH, ZEROS, assay, check, details, eventually, refused, server } from './scenarios.mjs';

const port = Number(process.env.FLAGD_PORT);
const quiet = { error() {}, warn() {}, info() {}, debug() {} };
OpenFeature.setLogger(quiet);
const heard = [];
OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => heard.push('changed'));
await OpenFeature.setContext(DUTCH);
await OpenFeature.setProviderAndWait(new FlagdWebProvider({ host: '127.0.0.1', port, tls: false, maxDelay: 500 }, quiet));
const client = OpenFeature.getClient();

// Values, variants, reasons.
check('web: split', details(client.getBooleanDetails('gate', false)), [true, 'on', 'SPLIT']);
check('web: false', details(client.getBooleanDetails('zero-bool', true)), [false, 'zero', 'DEFAULT']);
check('web: empty text', details(client.getStringDetails('zero-string', 'x')), ['', 'zero', 'DEFAULT']);
check('web: 0', details(client.getNumberDetails('zero-number', 7)), [0, 'zero', 'DEFAULT']);
check('web: float', details(client.getNumberDetails('half', 7)), [0.5, 'half', 'DEFAULT']);
check('web: object', details(client.getObjectDetails('zero-object', {})), [ZEROS, 'zero', 'DEFAULT']);
check('web: unknown flag', refused(client.getBooleanDetails('nowhere', true)), [true, 'ERROR', 'FLAG_NOT_FOUND']);
check('web: another type', refused(client.getStringDetails('zero-bool', 'x')), ['x', 'ERROR', 'TYPE_MISMATCH']);

// Another unit, and nobody.
await OpenFeature.setContext({ targetingKey: 'qa' });
check('web: override', details(client.getBooleanDetails('overridden', false)), [true, 'override', 'TARGETING_MATCH']);
await OpenFeature.setContext({});
check('web: nobody gets the default', details(client.getBooleanDetails('gate', true)), [false, 'off', 'DEFAULT']);
await OpenFeature.setContext(DUTCH);

// Changes.
assay('flag', 'update', 'change-web', '--name', `changed at ${Date.now()}`);
await eventually('web: a change is heard', 1_000, () => heard.includes('changed'));

// Reconnect.
server('stop');
server('start');
heard.length = 0;
await eventually('web: hears of changes again', 20_000, async () => {
  assay('flag', 'update', 'change-web', '--name', `changed at ${Date.now()}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return heard.includes('changed');
});
check('web: answers again', details(client.getBooleanDetails('gate', false)), [true, 'on', 'SPLIT']);
process.exit(0);
