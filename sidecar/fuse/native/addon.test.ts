import test from "ava";

import { AddonUnavailable, loadAddon, OPERATIONS } from "./addon.ts";

test("where there is no addon it says so, and what can be done instead", (t) => {
  for (const platform of ["linux-arm64", "darwin-x64"]) {
    const error = t.throws(() => loadAddon(() => {}, platform), { instanceOf: AddonUnavailable });
    t.is(error?.message, `the package fuse-native has no addon for ${platform}`);
    t.regex(error?.remedy ?? "", /--channel device/);
  }
});

test("the addon has every operation that is served, and a way to answer it", (t) => {
  const { addon, threadsWatched } = loadAddon(() => {});
  t.true(threadsWatched);
  const numbers = OPERATIONS.map((name) => addon[`op_${name}`]);
  t.is(new Set(numbers).size, OPERATIONS.length);
  for (const name of OPERATIONS) t.is(typeof addon[`fuse_native_signal_${name}`], "function", name);
});
