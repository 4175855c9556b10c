import test from "ava";

import { sidecarSources } from "./sources.ts";

// The rules of the foundation.
const rules = Array.from({ length: 35 }, (_, index) => index + 1);

// `RULES 4: …`, `RULES 1, 2: …`, `… (RULES 1 and 2)`
const mention = /RULES (\d+(?:(?:, | and )\d+)*)/g;
// `behaviour` declares a test for each setting of the semantics suite, `eachChannel` for each channel, `onSmallDisk` for each setting on a disk of its own.
const title =
  /\b(?:test(?:\.serial)?|behaviour|eachChannel|onSmallDisk)\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`|'((?:[^'\\]|\\.)*)')/g;

const kept = new Set(
  sidecarSources()
    .filter(({ path }) => path.endsWith(".test.ts") || path.includes("semantics/common/"))
    .filter(({ path }) => !path.includes("structure/"))
    .flatMap((source) =>
      [...source.text.matchAll(title)].map((match) => match[1] ?? match[2] ?? match[3] ?? ""),
    )
    .flatMap((words) =>
      [...words.matchAll(mention)].flatMap((match) => match[1]!.match(/\d+/g)!.map(Number)),
    ),
);

for (const rule of rules) {
  test(`rule ${rule} has a test named after it`, (t) => {
    t.true(kept.has(rule), `no test below sidecar/ has RULES ${rule} in its title`);
  });
}
