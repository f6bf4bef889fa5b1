// The official provider of OFREP for servers in Node.
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';
import { DUTCH, ZEROS, check, details, refused } from './scenarios.mjs';

await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: process.env.OFREP_URL }));
const client = OpenFeature.getClient();

check('node ofrep: split', details(await client.getBooleanDetails('gate', false, DUTCH)), [true, 'on', 'SPLIT']);
check('node ofrep: false', details(await client.getBooleanDetails('zero-bool', true, DUTCH)), [false, 'zero', 'DEFAULT']);
check('node ofrep: empty text', details(await client.getStringDetails('zero-string', 'x', DUTCH)), ['', 'zero', 'DEFAULT']);
check('node ofrep: 0', details(await client.getNumberDetails('zero-number', 7, DUTCH)), [0, 'zero', 'DEFAULT']);
check('node ofrep: float', details(await client.getNumberDetails('half', 7, DUTCH)), [0.5, 'half', 'DEFAULT']);
check('node ofrep: object', details(await client.getObjectDetails('zero-object', {}, DUTCH)), [ZEROS, 'zero', 'DEFAULT']);
check('node ofrep: unknown flag', refused(await client.getBooleanDetails('nowhere', true, DUTCH)), [true, 'ERROR', 'FLAG_NOT_FOUND']);
check('node ofrep: another type', refused(await client.getStringDetails('zero-bool', 'x', DUTCH)), ['x', 'ERROR', 'TYPE_MISMATCH']);
check('node ofrep: no targeting key', refused(await client.getBooleanDetails('gate', true, {})), [true, 'ERROR', 'TARGETING_KEY_MISSING']);
await OpenFeature.close();
