import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import test from "ava";

import { isTest, readTracked, sidecarSources, trackedFiles } from "./sources.ts";

// Files that are longer for a reason, with the reason.
const allowedToBeLong: Readonly<Record<string, string>> = {};
const longest = 350;

test(`no source is longer than ${longest} lines unless it says why`, (t) => {
  for (const { path: file, text } of sidecarSources()) {
    if (isTest(file) || file in allowedToBeLong) continue;
    const lines = text.split("\n").length - 1;
    t.true(lines <= longest, `sidecar/${file} has ${lines} lines: split it, or list it with a reason`);
  }
});

test("every source opens by saying what it is for", (t) => {
  for (const { path: file, text } of sidecarSources()) {
    if (file.endsWith(".test.ts")) continue;
    // Of a file that exports one thing, that thing's own comment will do.
    const afterImports = text.replace(/^import\s[^;]*;\s*/gm, "");
    t.true(
      text.startsWith("//") || /^\/(\/|\*\*)/.test(afterImports),
      `sidecar/${file} opens without a comment`,
    );
  }
});

test("no tracked file names a path of the machine it was written on", (t) => {
  const top = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "");
  const paths = [top, path.dirname(top), homedir()].filter((each) => !isCommon(each));
  t.pass(); // where all of them are common there is nothing to find
  for (const file of trackedFiles()) {
    const text = readTracked(file) ?? "";
    for (const each of paths) t.false(text.includes(`${each}/`), `${file} contains ${each}/`);
  }
});

// Folders every machine has, and examples may name.
function isCommon(folder: string): boolean {
  const [, first = "", ...rest] = folder.split("/");
  const everywhere = ["home", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var"].includes(first);
  return first === "" || (rest.length < 2 && everywhere);
}

test("the lock file names no host to take packages from", (t) => {
  const lock = readTracked("package-lock.json") ?? "";
  t.true(lock.length > 0);
  t.notRegex(lock, /"resolved"/);
  t.notRegex(lock, /https?:\/\/(?!(www\.)?(github\.com|opencollective\.com|tidelift\.com))[^"]*\.tgz/);
});

test("the lock file holds every package another platform needs, so that npm ci works there and here", (t) => {
  const { packages } = JSON.parse(readTracked("package-lock.json") ?? "") as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  for (const [holder, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      t.true(`node_modules/${name}` in packages || `${holder}/node_modules/${name}` in packages, name);
    }
  }
});

test("every package is pinned to one version", (t) => {
  const manifest = JSON.parse(readTracked("package.json") ?? "") as Record<string, Record<string, string>>;
  for (const [name, version] of Object.entries({
    ...manifest["dependencies"],
    ...manifest["optionalDependencies"],
    ...manifest["devDependencies"],
  })) {
    t.regex(version, /^\d+\.\d+\.\d+$/, name);
  }
});
