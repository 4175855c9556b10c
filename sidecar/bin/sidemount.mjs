#!/usr/bin/env node
// Starts sidecar/main.ts with the Node it was written for, from whatever Node is installed.
//
// Plain JavaScript that Node 20 understands: the project brings its own Node 24 as an npm package.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const main = new URL("../main.ts", import.meta.url);

function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const node = join(dirname(manifest), "bin", "node");
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

function hasPackages() {
  try {
    createRequire(import.meta.url).resolve("commander");
    return true;
  } catch {
    return false;
  }
}

function fail(message) {
  process.stderr.write(`sidemount: ${message}\n`);
  process.exit(1);
}

if (!hasPackages()) {
  fail("The packages it needs are not installed.\n           Run `npm ci` in its folder.");
}

if (Number(process.versions.node.split(".")[0]) >= 24) {
  await import(main.href);
} else {
  const node = bundledNode();
  if (node === undefined) {
    fail(
      `It needs Node 24 and this is ${process.version}; the one that comes with it is not there.\n` +
        "           Run `npm ci` in its folder, or start it with Node 24.",
    );
  }
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit" });
  // A terminal sends these to every process of the foreground group: the child has them already.
  const fromTerminal = ["SIGINT", "SIGHUP", "SIGQUIT"];
  for (const signal of ["SIGTERM", "SIGUSR1", "SIGUSR2", ...fromTerminal]) {
    process.on(signal, () => {
      if (!process.stdin.isTTY || !fromTerminal.includes(signal)) child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`${node} could not be started: ${error.message}.`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    // Ended by a signal: end the same way, so that whoever waits sees what happened.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100);
  });
}
