// What all scenarios in JavaScript need.
import { execFileSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';

export const DUTCH = { targetingKey: 'u1', country: 'NL' };
export const ZEROS = { n: 0, s: '', b: false };

/** Says that it is so, or ends the run. */
export function check(name, told, expected) {
  if (!isDeepStrictEqual(told, expected)) {
    console.error(`FAILED: ${name}: ${JSON.stringify(told)}, expected ${JSON.stringify(expected)}`);
    process.exit(1);
  }
  console.log(`ok: ${name}`);
}

/** The first true answer of the condition, which must come within this many milliseconds. */
export async function eventually(name, within, condition) {
  const end = Date.now() + within;
  for (;;) {
    const told = await condition();
    if (told) {
      console.log(`ok: ${name}`);
      return told;
    }
    if (Date.now() > end) {
      console.error(`FAILED: ${name}: not within ${within} ms`);
      process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What an operator's verb prints. */
export const assay = (...args) => execFileSync(process.env.ASSAY, args, { encoding: 'utf8' });

/** Starts or stops the platform. */
export const server = (what) => execFileSync(process.env.SERVER, [what], { stdio: 'inherit' });

/** What is looked at of an answer. */
export const details = (told) => [told.value, told.variant, told.reason];

/** What is looked at of an answer that is none. */
export const refused = (told) => [told.value, told.reason, told.errorCode];
