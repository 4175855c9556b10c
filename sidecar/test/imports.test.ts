import test from "ava";

import { faultsOf, importsOf } from "./structure/imports.ts";
import { doors, layers } from "./structure/layers.ts";
import { isTest, sidecarSources } from "./structure/sources.ts";

test("every import goes down, and each outside package has one door", (t) => {
  const sources = sidecarSources().filter((source) => !isTest(source.path));
  t.true(sources.length > 20, "the sources are found");
  const faults = sources.flatMap(faultsOf);
  t.deepEqual(faults, [], `\n${faults.join("\n")}\n`);
});

test("tests stand beside what they test and use other layers by what these offer", (t) => {
  // A unit test may use anything below its layer and the server that stands for the bucket, but nothing above.
  const order = ["lib", "telemetry", "bucket", "copies", "filesystem", "fuse"];
  const faults = sidecarSources()
    .filter((source) => isTest(source.path) && order.includes(source.path.split("/")[0]!))
    .flatMap((source) => {
      const own = order.indexOf(source.path.split("/")[0]!);
      const above = [...order.slice(own + 1), "app.ts", "main.ts", "cli"];
      return importsOf(source.text)
        .filter((name) =>
          above.some((layer) => name.startsWith(`../${layer}`) || name.includes(`/../${layer}`)),
        )
        .map((name) => `\`${source.path}\` imports \`${name}\`, which is above it`);
    });
  t.deepEqual(faults, [], `\n${faults.join("\n")}\n`);
});

test("an import upwards fails with a sentence", (t) => {
  const source = { path: "copies/upload.ts", text: 'import type { Tree } from "../filesystem/tree.ts";' };
  t.deepEqual(faultsOf(source), [
    "`copies/upload.ts` imports `filesystem/tree.ts`: copies may import bucket, telemetry, lib",
  ]);
});

test("a package outside its door fails with a sentence, an unknown one as well", (t) => {
  t.deepEqual(faultsOf({ path: "filesystem/tree.ts", text: 'import { Pool } from "undici";' }), [
    "`filesystem/tree.ts` imports undici: only bucket may",
  ]);
  t.deepEqual(faultsOf({ path: "lib/turn.ts", text: 'import koffi from "koffi";' }), [
    "`lib/turn.ts` imports koffi: only lib/system-calls.ts may",
  ]);
  t.deepEqual(faultsOf({ path: "cli/run.ts", text: 'import x from "left-pad/x.js";' }), [
    "`cli/run.ts` imports left-pad, which has no door in layers.ts",
  ]);
});

test("imports are found in every form, and not in comments", (t) => {
  const text = `
    // import { a } from "./comment.ts";
    /* import { a } from "./block.ts"; */
    import a, {
      type B,
    } from "./several-lines.ts";
    import type { C } from "./type.ts";
    import "./effect.ts";
    export { d } from './again.ts';
    const e = await import("./lazy.ts");
    let f: import("./inline.ts").F;
    new Worker(new URL("./thread.ts", import.meta.url));
    startThread(new URL("./cached-thread.ts", import.meta.url), {});
    createRequire(import.meta.url)("pino-pretty");
  `;
  t.deepEqual(importsOf(text).toSorted(), [
    "./again.ts",
    "./cached-thread.ts",
    "./effect.ts",
    "./inline.ts",
    "./lazy.ts",
    "./several-lines.ts",
    "./thread.ts",
    "./type.ts",
    "pino-pretty",
  ]);
});

test("the table names only layers and packages that exist", async (t) => {
  const manifest = await import("../../package.json", { with: { type: "json" } });
  const { dependencies, optionalDependencies } = manifest.default;
  const packages = Object.keys({ ...dependencies, ...optionalDependencies });
  for (const name of Object.keys(doors)) {
    t.true(name.startsWith("node:") || name === "google-auth-library" || packages.includes(name), name);
  }
  const paths = sidecarSources().map((source) => source.path);
  for (const layer of Object.keys(layers))
    t.true(
      paths.some((path) => path.startsWith(layer)),
      layer,
    );
});
