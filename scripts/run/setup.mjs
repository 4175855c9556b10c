// What must be on the machine before anything runs: checked cheaply on every start, installed where missing,
// with one line for each thing that says what it is for. Whatever is there already is left alone.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runQuietly, SetupError } from "./quietly.mjs";
import { cargoPackage, findCargo } from "./suite-tools.mjs";

export const projectDirectory = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Node 24, from the npm package `node`: the one on the machine only needs to be able to start us. */
export const projectNode = join(projectDirectory, "node_modules", "node", "bin", "node");

const program =
  (...paths) =>
  () =>
    paths.some((path) => existsSync(path));

const webPackages = [
  { name: "python3", why: "runs the demo app", present: program("/usr/bin/python3") },
  { name: "python3-flask", why: "the framework of the demo app", present: () => pythonHas("flask") },
  { name: "gunicorn", why: "serves the demo app", present: program("/usr/bin/gunicorn") },
  {
    name: "nginx-light",
    why: "the web server in front of the demo app",
    present: program("/usr/sbin/nginx"),
  },
];
const testPackages = [
  {
    name: "fuse3",
    why: "fusermount, by which users who are not root mount",
    present: program("/usr/bin/fusermount", "/bin/fusermount"),
  },
  { name: "curl", why: "a client in the tests", present: program("/usr/bin/curl") },
  {
    name: "openssl",
    why: "makes certificates for a server in the tests",
    present: program("/usr/bin/openssl"),
  },
  { name: "procps", why: "ps, for tests that watch processes", present: program("/usr/bin/ps", "/bin/ps") },
  {
    name: "rclone",
    why: "a foreign client the local server must satisfy",
    present: program("/usr/bin/rclone"),
  },
  { name: "rsync", why: "a program that must work on the mount", present: program("/usr/bin/rsync") },
  { name: "tar", why: "a program that must work on the mount", present: program("/usr/bin/tar", "/bin/tar") },
  { name: "zip", why: "a program that must work on the mount", present: program("/usr/bin/zip") },
  { name: "unzip", why: "a program that must work on the mount", present: program("/usr/bin/unzip") },
  {
    name: "vim-tiny",
    why: "an editor that must work on the mount",
    present: program("/usr/bin/vim.tiny"),
  },
  {
    name: "lockfile-progs",
    why: "locks that must work on the mount",
    present: program("/usr/bin/lockfile-create"),
  },
  {
    name: "inotify-tools",
    why: "watches folders, which must work on the mount",
    present: program("/usr/bin/inotifywait"),
  },
];
const containerPackages = [
  {
    name: "docker.io",
    why: "a Docker engine, to build the images and run them (one is started for the tests alone)",
    present: () => engineRuns() || existsSync("/usr/sbin/dockerd"),
  },
  {
    name: "mmdebstrap",
    why: "makes a base image where Docker Hub cannot be reached",
    present: () => engineRuns() || existsSync("/usr/bin/mmdebstrap"),
  },
  {
    name: "shellcheck",
    why: "reads the scripts of the images",
    present: program("/usr/bin/shellcheck", "/usr/local/bin/shellcheck"),
  },
];
const modelPackages = [
  { name: "python3", why: "the programs that use the mount", present: program("/usr/bin/python3") },
  testPackages[0],
];
// For the public suites, and the programs that are large or bring a service.
const suitePackages = [
  {
    name: cargoPackage(),
    why: "builds the public file system suites pjdfstest and fsx",
    present: () => findCargo() !== undefined,
  },
  { name: "nano", why: "an editor that must work on the mount", present: program("/usr/bin/nano") },
  {
    name: "logrotate",
    why: "a program that must work on the mount",
    present: program("/usr/sbin/logrotate"),
  },
  {
    name: "imagemagick",
    why: "makes pictures, which must work on the mount",
    present: program("/usr/bin/convert"),
  },
  { name: "ffmpeg", why: "makes films, which must work on the mount", present: program("/usr/bin/ffmpeg") },
  {
    name: "python3-pyftpdlib",
    why: "an FTP server that must work on the mount",
    present: () => pythonHas("pyftpdlib"),
  },
];
const benchPackages = [
  webPackages.find(({ name }) => name === "nginx-light"),
  { name: "wrk", why: "asks nginx for files as fast as it answers", present: program("/usr/bin/wrk") },
];
const deployPackages = [
  { name: "shellcheck", why: "reads our shell scripts", present: program("/usr/bin/shellcheck") },
  { name: "systemd", why: "reads our units", present: program("/usr/bin/systemd-analyze") },
  {
    name: "python3",
    why: "runs checks of cloud-init and Kubernetes files",
    present: program("/usr/bin/python3"),
  },
  { name: "python3-venv", why: "keeps those checks apart", present: () => pythonHas("ensurepip") },
];
// What would be started at the next boot; we only want the programs.
const servicesOf = {
  "nginx-light": ["nginx.service"],
  logrotate: ["logrotate.timer"],
  "docker.io": ["docker.service", "docker.socket", "containerd.service"],
};
/** For a disk whose power can be lost. */
const mkfs = {
  name: "e2fsprogs",
  why: "makes a disk whose power can be lost",
  present: program("/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"),
};
const crashPackages = [...modelPackages, mkfs];

const packagesFor = {
  demo: webPackages,
  test: [...webPackages, ...testPackages, ...deployPackages, mkfs],
  crash: crashPackages,
  "test:model": modelPackages,
  "test:deploy": deployPackages,
  "test:container": [...webPackages, ...testPackages, ...containerPackages],
  "test:suites": [webPackages.find(({ name }) => name === "python3"), ...testPackages, ...suitePackages],
  bench: benchPackages,
};

/** Makes the machine ready for one of the commands of `packagesFor`, or throws a SetupError. */
export function setUp(command) {
  requireMachine();
  installNpmPackages();
  installDebianPackages(packagesFor[command].filter((debian) => !debian.present()));
}

function requireMachine() {
  requireVersion("Node", process.versions.node, 20, "Install Node 20 or newer (https://nodejs.org).");
  if (process.platform !== "linux") {
    throw new SetupError(
      `sidemount needs Linux: it mounts through the kernel's FUSE. This is ${process.platform}.\n` +
        "Run it on a Linux machine, or in a Linux virtual machine or container.",
    );
  }
  // One message for both, so that nobody repairs the first only to meet the second.
  const missing = [];
  if (process.getuid() !== 0) {
    missing.push(
      `Not root (user id ${process.getuid()}): mounting a folder needs root.\n` +
        `  Run it as root, for example: sudo npm ${process.env.npm_lifecycle_event === "test" ? "test" : `run ${process.env.npm_lifecycle_event ?? "demo"}`}`,
    );
  }
  if (!existsSync("/dev/fuse")) {
    missing.push(
      "/dev/fuse is missing: the kernel offers no FUSE here.\n" +
        "  On a machine: modprobe fuse. In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN.",
    );
  }
  if (missing.length > 0) throw new SetupError(missing.join("\n"));
}

function requireVersion(what, version, wanted, remedy) {
  if (Number.parseInt(version, 10) < wanted) {
    throw new SetupError(
      `${what} ${version} is too old: sidemount needs ${what} ${wanted} or newer.\n${remedy}`,
    );
  }
}

function installNpmPackages() {
  if (existsSync(projectNode) && installedAsLocked()) return;
  console.log(
    "Installing npm packages (npm ci): Node 24 and the libraries sidemount is built on, into node_modules/",
  );

  // Our own node_modules/.bin must not be searched while it is being replaced.
  const path = (process.env.PATH ?? "").split(":").filter((folder) => !folder.endsWith("node_modules/.bin"));
  // FUSE_NATIVE: the addon of that package comes ready made, and its install script is content with that. Without it
  // the script wants to see libfuse on the machine, or a compiler.
  const env = { ...process.env, PATH: path.join(":"), FUSE_NATIVE: "prebuilt" };
  requireVersion("npm", npmVersion(env), 10, "Install it with: npm install --global npm@10");
  runQuietly("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], env);
  if (!existsSync(projectNode)) {
    throw new SetupError(
      `npm ci did not bring ${projectNode}.\n` +
        "Its install script has not run: check that npm's setting ignore-scripts is off (npm config get ignore-scripts).",
    );
  }
}

function npmVersion(env) {
  const answer = spawnSync("npm", ["--version"], { encoding: "utf8", env });
  if (answer.status !== 0)
    throw new SetupError("npm is missing. Install it (it comes with Node from nodejs.org).");
  return answer.stdout.trim();
}

/** Whether node_modules holds what package-lock.json says, by the list npm leaves there when it is done. */
function installedAsLocked() {
  const locked = readPackages("package-lock.json");
  const installed = readPackages(join("node_modules", ".package-lock.json"));
  if (!locked || !installed) return false;
  for (const [path, entry] of Object.entries(locked)) {
    if (path === "") continue;
    const found = installed[path];
    if (!found ? !mayBeMissing(path, entry) : found.version !== entry.version) return false;
  }
  return true;
}

// Optional packages are for other platforms, but for the one without which there is no native channel.
function mayBeMissing(path, entry) {
  return entry.optional && (path !== "node_modules/fuse-native" || process.arch !== "x64");
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(join(projectDirectory, path), "utf8")).packages;
  } catch {
    return undefined; // absent or cut short: not installed
  }
}

function engineRuns() {
  return spawnSync("docker", ["info"], { stdio: "ignore", timeout: 20_000 }).status === 0;
}

function pythonHas(module) {
  if (!existsSync("/usr/bin/python3")) return false;
  const script = `import importlib.util as u, sys; sys.exit(u.find_spec("${module}") is None)`;
  return spawnSync("/usr/bin/python3", ["-I", "-c", script], { stdio: "ignore" }).status === 0;
}

function installDebianPackages(missing) {
  if (missing.length === 0) return;
  if (!existsSync("/usr/bin/apt-get")) {
    const list = missing.map(({ name, why }) => `  ${name}: ${why}`).join("\n");
    throw new SetupError(`These are missing (by their Debian names), and there is no apt-get here:\n${list}`);
  }
  for (const { name, why } of missing) console.log(`Installing Debian package ${name}: ${why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  runQuietly("apt-get", ["update", "-qq"], env);
  withServicesHeldBack(() =>
    runQuietly(
      "apt-get",
      ["install", "-qq", "--yes", "--no-install-recommends", ...missing.map(({ name }) => name)],
      env,
    ),
  );
  const services = missing.flatMap(({ name }) => servicesOf[name] ?? []);
  if (services.length > 0 && existsSync("/run/systemd/system")) {
    runQuietly("systemctl", ["disable", "--quiet", ...services], env);
  }
}

// Debian starts a web server on port 80, or an engine, as soon as its package is installed. We only want the program;
// policy-rc.d is Debian's way to say so.
function withServicesHeldBack(install) {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return install();
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return install();
  } finally {
    rmSync(policy, { force: true });
  }
}
