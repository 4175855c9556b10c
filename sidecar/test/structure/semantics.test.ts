// docs/SEMANTICS.md and the tests that act it out say the same things: each section has a test file of its name, and
// each test file a section.

import { readdir, readFile } from "node:fs/promises";
import test from "ava";

const DOCUMENT = new URL("../../../docs/SEMANTICS.md", import.meta.url);
const TESTS = new URL("../semantics/", import.meta.url);
/** Sections that speak of all others, or of a suite that is not ours. */
const WITHOUT_TESTS = ["tenets", "what-a-posix-suite-finds"];

async function sections(): Promise<string[]> {
  const text = await readFile(DOCUMENT, "utf8");
  return [...text.matchAll(/^## (.+)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(" ", "-"),
  );
}

async function testFiles(): Promise<string[]> {
  const names = await readdir(TESTS);
  return names.filter((name) => name.endsWith(".test.ts")).map((name) => name.slice(0, -".test.ts".length));
}

test("every section of SEMANTICS.md is acted out by the test file of its name", async (t) => {
  const acted = new Set(await testFiles());
  const missing = (await sections()).filter((name) => !acted.has(name) && !WITHOUT_TESTS.includes(name));
  t.deepEqual(missing, [], "write sidecar/test/semantics/<section>.test.ts, or take the section away");
});

test("every file of semantics tests has its section in SEMANTICS.md", async (t) => {
  const written = new Set(await sections());
  const missing = (await testFiles()).filter((name) => !written.has(name));
  t.deepEqual(missing, [], "write a section of that name in docs/SEMANTICS.md");
});
