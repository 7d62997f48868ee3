// The page must stay light: fails the build when what a first visit loads grows over its budget.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const DIST = new URL("../src/earshot/api/dist/", import.meta.url);
const BUDGET = { js: 120_000, css: 20_000 };

let failed = false;
for (const [kind, most] of Object.entries(BUDGET)) {
  const files = readdirSync(new URL("assets/", DIST)).filter((f) => f.endsWith(`.${kind}`));
  const size = files.reduce((n, f) => n + gzipSync(readFileSync(new URL(`assets/${f}`, DIST))).length, 0);
  console.log(`${kind}: ${(size / 1000).toFixed(1)} kB gzip of ${most / 1000}`);
  failed ||= size > most;
}
if (failed) {
  console.error("over budget");
  process.exit(1);
}
