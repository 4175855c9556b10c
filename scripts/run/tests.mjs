// `npm test`: each suite in turn, its results as they come, and one total at the end. A suite that fails does
// not keep the others from running. What crashes, hangs or exits badly without naming a test counts as one
// failure, so the total cannot be clean when anything was wrong.

import { join } from "node:path";
import { avaReader } from "./ava.mjs";
import { lines, runToEnd } from "./child.mjs";
import { installDeployTools } from "./deploy-tools.mjs";
import { SetupError } from "./quietly.mjs";
import { projectDirectory, projectNode } from "./setup.mjs";
import { installSuiteTools } from "./suite-tools.mjs";
import { unittestReader } from "./unittest.mjs";

const ava = join(projectDirectory, "node_modules", "ava", "entrypoints", "cli.mjs");

const deploySuite = { title: "Deployment files", run: runDeploySuite };
const suites = [
  { title: "Types, lint, formatting", run: runCheck },
  { title: "Demo app on a plain folder", run: runUnittest },
  { title: "Unit tests", run: () => runAva(ava, []) },
  deploySuite,
  { title: "On a real mount", run: () => runAva(ava, ["--config", "sidecar/test/mount.config.js"]) },
];

/** Runs everything but the container tests; resolves with 0 only if all of it passed. */
export async function runTests(args) {
  return runWithoutArguments(suites, args);
}

/** Runs what is checked of the files below gce/. */
export async function runDeployTests(args) {
  return runWithoutArguments([deploySuite], args);
}

/** Random operations on a mount and a plain folder; `args` as in sidecar/test/model/arguments.ts. Resolves as `runTests`. */
export async function runModelTests(args) {
  const run = () => runAva(ava, ["--config", "sidecar/test/model.config.js", "--", ...args]);
  return runSuites([{ title: "Random operations", run }]);
}

/** What programs were told is stored, after something was killed: `--rounds N` of each kind. Resolves as `runTests`. */
export async function runCrashTests(args) {
  const rounds = args[0] === "--rounds" ? Number(args[1]) : Number.NaN;
  if (args.length > 0 && !(Number.isInteger(rounds) && rounds > 0 && args.length === 2)) {
    console.error("Usage: npm run crash -- --rounds N    (N of each kind; without it 25)");
    return 2;
  }
  process.env["SIDEMOUNT_TEST_ROUNDS"] = String(args.length > 0 ? rounds : 25);
  const files = ["sidecar/test/crashes/everything-killed.test.ts"];
  const run = () => runAva(ava, ["--config", "sidecar/test/mount.config.js", ...files]);
  return runSuites([{ title: "Kills while programs write", run }]);
}

/** The images, really built and run; `args` are test files, all if there are none. Resolves as `runTests`. */
export async function runContainerTests(args) {
  const run = () => runAva(join("scripts", "container", "run.ts"), args);
  return runSuites([{ title: "In containers", run }]);
}

/** The public suites and larger programs, on a real mount; `args` are test files, all if there are none. */
export async function runSuiteTests(args) {
  const run = () =>
    withTools(installSuiteTools, () => runAva(ava, ["--config", "sidecar/test/suites.config.js", ...args]));
  return runSuites([{ title: "Public suites and programs", run }]);
}

async function runWithoutArguments(wanted, args) {
  if (args.length > 0) {
    console.error(`This runs everything and takes no arguments. For one file: npx ava ${args.join(" ")}`);
    return 2;
  }
  return runSuites(wanted);
}

async function runSuites(wanted) {
  const total = { passed: 0, failed: 0 };
  let ending = ""; // a signal asked us to stop: no further suites
  const onSignal = (signal) => (ending = signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);

  for (const { title, run } of wanted) {
    console.log(`\n── ${title} ──`);
    const begin = performance.now();
    const { passed, failed } = await run();
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    console.log(`── ${title}: ${passed} passed, ${failed} failed, ${seconds} s`);
    total.passed += passed;
    total.failed += failed;
    if (ending) {
      console.log(`Stopped by ${ending}: what follows was not run.`);
      total.failed += 1;
      break;
    }
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

async function runCheck() {
  const status = await runToEnd("npm", ["run", "--silent", "check"]);
  return { passed: 0, failed: status === 0 ? 0 : 1 };
}

async function runDeploySuite() {
  return withTools(installDeployTools, () => runAva(ava, ["--config", "gce/test/deploy.config.js"]));
}

// Tools that take minutes where they are missing, and that one suite needs: it fails without them, and alone.
async function withTools(install, run) {
  try {
    install(projectDirectory);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.log(error.message);
    return { passed: 0, failed: 1 };
  }
  return run();
}

async function runUnittest() {
  const reader = unittestReader();
  const status = await runToEnd("/usr/bin/python3", ["-m", "unittest", "--verbose", "--buffer"], {
    cwd: join(projectDirectory, "demo-app"),
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    onStderr: (text) => {
      process.stderr.write(text);
      reader.push(text);
    },
  });
  return settle(reader.end(), status);
}

/** Runs `program`, which is ava or ends in running it. */
async function runAva(program, args) {
  const reader = avaReader();
  const report = lines((line) => reader.line(line));
  const colour = process.stdout.isTTY ? ["--color"] : [];
  const status = await runToEnd(projectNode, [program, ...colour, ...args], {
    onStdout: (text) => {
      process.stdout.write(text);
      report.push(text);
    },
  });
  report.end();
  return settle(reader.end(), status);
}

/** A bad exit status that no counted test explains is a failure of its own. */
function settle({ passed, failed }, status) {
  if (status !== 0 && failed === 0) {
    console.log(`Ended with status ${status} although no test failed.`);
    return { passed, failed: 1 };
  }
  return { passed, failed };
}
