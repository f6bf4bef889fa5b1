// Writes growthbook.answers.json: what `@growthbook/growthbook` serves of growthbook.json to each unit.
import { readFileSync, writeFileSync } from "node:fs";
import { GrowthBook } from "@growthbook/growthbook";

const { features } = JSON.parse(readFileSync(new URL("growthbook.json", import.meta.url)));
const audiences = [
  {},
  { country: "DE" },
  { country: "FR", beta: true, app: "2.0.9" },
  { country: "FR", beta: false, app: "2.1.0", email: "ann@shop.example" },
  { country: "US", email: "bob@other.example", app: "10.0.0" },
];
const flags = ["checkout-button", "gate", "layout", "dark-mode", "maintenance", "ranged"];
const answers = [];
for (const attributes of audiences) {
  for (let n = 0; n < 200; n++) {
    const id = n % 10 ? `user-${n}` : `ü-${n}`;
    const growthbook = new GrowthBook({ features, attributes: { ...attributes, id } });
    const values = flags.map((flag) => growthbook.evalFeature(flag).value);
    answers.push([id, attributes, values]);
  }
}
const lines = answers.map((answer) => JSON.stringify(answer)).join(",\n");
const head = JSON.stringify(flags);
writeFileSync(new URL("growthbook.answers.json", import.meta.url), `{"flags":${head},"answers":[\n${lines}\n]}\n`);
