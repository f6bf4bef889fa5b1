// Writes growthbook.json: what `@growthbook/growthbook` gives each id of ids.json, -1 for not in the experiment.
import { readFileSync, writeFileSync } from "node:fs";
import { GrowthBook } from "@growthbook/growthbook";

const ids = JSON.parse(readFileSync(new URL("ids.json", import.meta.url)));
const halves = { weights: [0.5, 0.5], coverage: 1 };
const splits = [
  halves,
  { weights: [0.3334, 0.3333, 0.3333], coverage: 1 },
  { weights: [0.1, 0.9], coverage: 0.3 },
  { weights: [0.1, 0.9], coverage: 0.7 },
  { weights: [0.3, 0.7], coverage: 0.1 },
  { weights: [0, 1], coverage: 1 },
  { weights: [0.0001, 0.9999], coverage: 0.9999 },
  { weights: [0.25, 0.25, 0.25, 0.25], coverage: 0.01 },
  { weights: [0.2, 0.2, 0.2, 0.2, 0.2], coverage: 0.55 },
  { weights: [0.5, 0.5], coverage: 0 },
];
const experiments = [];
for (const hashVersion of [1, 2]) {
  for (const seed of ["my-test", "тест ü😀", "a"]) {
    for (const split of splits) experiments.push({ key: "k", hashVersion, seed, ...split });
  }
  // No seed: the key is hashed. Namespaces and filters exclude by a hash of their own.
  experiments.push({ key: "checkout-button", hashVersion, ...halves });
  for (const [name, from, to] of [["pricing", 0, 0.4], ["pricing", 0.4, 1], ["página", 0.25, 0.75]]) {
    experiments.push({ key: "k", hashVersion, seed: "ns", ...halves, namespace: [name, from, to] });
  }
  experiments.push({ key: "k", hashVersion, seed: "fs", ...halves, filters: [{ seed: "excl", ranges: [[0, 0.1], [0.55, 0.9]], hashVersion: 2 }] });
  experiments.push({ key: "k", hashVersion, seed: "fs", ...halves, filters: [{ seed: "x", ranges: [[0, 0.7]], hashVersion: 1 }, { seed: "y", ranges: [[0.2, 1]] }] });
  // Ranges as given: gaps, order, thirds that no ten-thousandths say, a last one beyond the end.
  for (const ranges of [[[0, 0.1], [0.5, 0.6]], [[0.5, 1], [0, 0.5]], [[0, 1 / 3], [1 / 3, 2 / 3], [2 / 3, 1]], [[0.1234, 0.5], [0.5, 1.2]]]) {
    experiments.push({ key: "k", hashVersion, seed: "rs", ranges });
  }
}
const growthbook = new GrowthBook();
const cases = [];
for (const experiment of experiments) {
  const n = (experiment.ranges ?? experiment.weights).length;
  const answers = [];
  for (const id of ids) {
    await growthbook.setAttributes({ id });
    const result = growthbook.run({ ...experiment, variations: [...Array(n).keys()] });
    answers.push(result.inExperiment ? result.variationId : -1);
  }
  cases.push({ experiment, answers });
}
const lines = cases.map((c) => JSON.stringify(c)).join(",\n");
writeFileSync(new URL("growthbook.json", import.meta.url), `[\n${lines}\n]\n`);
console.log(cases.length, "cases of", ids.length);
