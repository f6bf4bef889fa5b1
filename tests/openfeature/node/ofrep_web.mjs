// The official provider of OFREP for browsers: all flags at once, and server-sent events.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
import { EventSource } from 'eventsource';
import { DUTCH, ZEROS, assay, check, details, eventually, refused } from './scenarios.mjs';

// What browsers have and this runtime has not.
globalThis.EventSource = EventSource;

const heard = [];
OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, (event) => heard.push(event.flagsChanged));
const answers = [];
const fetchImplementation = async (request, options) => {
  const response = await fetch(request, options);
  answers.push(response.status);
  return response;
};
await OpenFeature.setContext(DUTCH);
const provider = new OFREPWebProvider({ baseUrl: process.env.OFREP_URL, cacheMode: 'disabled', fetchImplementation });
await OpenFeature.setProviderAndWait(provider);
const client = OpenFeature.getClient();

check('web ofrep: split', details(client.getBooleanDetails('gate', false)), [true, 'on', 'SPLIT']);
check('web ofrep: false', details(client.getBooleanDetails('zero-bool', true)), [false, 'zero', 'DEFAULT']);
check('web ofrep: empty text', details(client.getStringDetails('zero-string', 'x')), ['', 'zero', 'DEFAULT']);
check('web ofrep: 0', details(client.getNumberDetails('zero-number', 7)), [0, 'zero', 'DEFAULT']);
check('web ofrep: object', details(client.getObjectDetails('zero-object', {})), [ZEROS, 'zero', 'DEFAULT']);
check('web ofrep: unknown flag', refused(client.getBooleanDetails('nowhere', true)), [true, 'ERROR', 'FLAG_NOT_FOUND']);
check('web ofrep: another type', refused(client.getStringDetails('zero-bool', 'x')), ['x', 'ERROR', 'TYPE_MISMATCH']);

// The stream begins with an event, and nothing has changed since: not modified.
await eventually('web ofrep: what is known is not sent again', 5_000, () => answers.includes(304));
const after = `after ${Date.now()}`;
assay('flag', 'update', 'change-ofrep-web', '--default', after, '--variation', `after=${after}`);
await eventually('web ofrep: a change is heard', 1_000, () => client.getStringValue('change-ofrep-web', '') === after);
await eventually('web ofrep: of that flag', 1_000, () => heard.some((flags) => flags?.includes('change-ofrep-web')));

await OpenFeature.setContext({});
check('web ofrep: no targeting key', refused(client.getBooleanDetails('gate', true)), [true, 'ERROR', 'TARGETING_KEY_MISSING']);
process.exit(0);
