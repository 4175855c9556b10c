// `npm run demo`, `npm test`, `npm run test:container`, `npm run test:suites` and others start here. Plain JavaScript for
// any Node from 20 on, with nothing installed: it sees to it that everything needed is there and hands over to the Node
// of the project.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runToEnd } from "./run/child.mjs";
import { SetupError } from "./run/quietly.mjs";
import { projectDirectory, projectNode, setUp } from "./run/setup.mjs";
import {
  runContainerTests,
  runCrashTests,
  runDeployTests,
  runModelTests,
  runSuiteTests,
  runTests,
} from "./run/tests.mjs";

const commands = {
  demo: (args) => runToEnd(projectNode, [join("scripts", "demo.ts"), ...args]),
  test: runTests,
  "test:model": runModelTests,
  "test:container": runContainerTests,
  "test:deploy": runDeployTests,
  "test:suites": runSuiteTests,
  crash: runCrashTests,
  bench: (args) => runToEnd(projectNode, [join("sidecar", "bench", "run.ts"), ...args]),
};

async function main([name = "", ...args]) {
  const command = commands[name];
  if (!command) {
    console.error(`Usage: node scripts/run.mjs ${Object.keys(commands).join("|")} [arguments]`);
    return 2;
  }
  process.chdir(projectDirectory);
  try {
    setUp(name);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    return 1;
  }
  return command(args);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.exitCode = await main(process.argv.slice(2));
}
