// Writes eppo.json: what the evaluator of `@eppo/js-client-sdk-common` gives each id of ids.json, -1 for none.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
// By its file: the package does not export the evaluator alone.
const entry = require.resolve("@eppo/js-client-sdk-common");
const { Evaluator } = require(entry.replace(/index\.js$/, "evaluator.js"));
const ids = JSON.parse(readFileSync(new URL("ids.json", import.meta.url)));
const full = (total) => [{ start: 0, end: total }];
const settings = [];
for (const total of [10000, 100, 7]) {
  for (const salt of ["flag-1", "ключ-😀"]) {
    const at = (share) => Math.round(share * total);
    settings.push({ total, salt, traffic: full(total), splits: [[[0, at(0.5)]], [[at(0.5), total]]] });
    settings.push({ total, salt, traffic: [{ start: 0, end: at(0.35) }], splits: [[[0, at(0.3334)]], [[at(0.3334), at(0.6667)]], [[at(0.6667), total]]] });
    settings.push({ total, salt, traffic: [{ start: 0, end: at(0.1) }, { start: at(0.7), end: at(0.95) }], splits: [[[0, at(0.2)], [at(0.8), total]], [[at(0.2), at(0.4)]]] });
    settings.push({ total, salt, traffic: full(total), splits: [[[at(0.5), total]], [[0, at(0.5)]]] });
    settings.push({ total, salt, traffic: [{ start: 0, end: 0 }], splits: [[[0, total]]] });
  }
}
const evaluator = new Evaluator();
const details = { configEnvironment: { name: "test" }, configFetchedAt: "", configPublishedAt: "", configFormat: "SERVER" };
const cases = settings.map(({ total, salt, traffic, splits }) => {
  const shards = splits.map((ranges, i) => ({
    variationKey: `${i}`,
    shards: [
      { salt: `${salt}-traffic`, ranges: traffic },
      { salt: `${salt}-split`, ranges: ranges.map(([start, end]) => ({ start, end })) },
    ],
  }));
  const variations = Object.fromEntries(splits.map((_, i) => [i, { key: `${i}`, value: `${i}` }]));
  const allocations = [{ key: "a", doLog: true, splits: shards }];
  const flag = { key: "f", enabled: true, variationType: "STRING", variations, allocations, totalShards: total };
  const answers = ids.map((id) => {
    const { variation } = evaluator.evaluateFlag(flag, details, id, {}, false, "STRING");
    return variation ? Number(variation.key) : -1;
  });
  return { total, salt, traffic: traffic.map(({ start, end }) => [start, end]), splits, answers };
});
const lines = cases.map((c) => JSON.stringify(c)).join(",\n");
writeFileSync(new URL("eppo.json", import.meta.url), `[\n${lines}\n]\n`);
console.log(cases.length, "cases of", ids.length);
