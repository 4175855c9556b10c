// Public suites for file systems, built from crates.io into .sidemount/cargo, where they can be deleted at any time, and
// the Rust they need.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { runQuietly, SetupError } from "./quietly.mjs";

const crates = [
  { name: "pjdfstest", version: "0.2.0", why: "asks about 400 questions of POSIX to the mount" },
  { name: "fsx", version: "0.3.0", why: "writes and reads one file at random, and compares" },
];
// pjdfstest's rust-version.
const oldestRust = [1, 85];

/** Where the programs of the suites are. */
export const suiteProgramsIn = (projectDirectory) => join(projectDirectory, ".sidemount", "cargo", "bin");

/** Builds what is missing, with a line for each thing that says what it is for. */
export function installSuiteTools(projectDirectory) {
  const bin = suiteProgramsIn(projectDirectory);
  for (const { name, version, why } of crates) {
    if (versionOf(join(bin, name)).trim() === `${name} ${version}`) continue;
    console.log(`Building ${name} ${version} from crates.io, which takes a minute: it ${why}`);
    const cargo = findCargo();
    if (cargo === undefined) {
      throw new SetupError(
        `Rust ${oldestRust.join(".")} or newer is missing, and Debian's ${cargoPackage()} did not bring it.\n` +
          "Install it from https://rustup.rs.",
      );
    }
    const where = ["--root", join(bin, ".."), "--force"]; // another version may be there
    runQuietly(cargo, ["install", "--quiet", "--locked", ...where, `${name}@${version}`], process.env);
  }
}

/** A cargo that is new enough, or undefined. */
export function findCargo() {
  const places = ["cargo", join(homedir(), ".cargo", "bin", "cargo"), "/usr/bin/cargo"];
  return places.find((cargo) => {
    const [, major, minor] = /^cargo (\d+)\.(\d+)/.exec(versionOf(cargo)) ?? [];
    const [wantedMajor, wantedMinor] = oldestRust;
    return Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  });
}

/** The Debian package with such a cargo. Debian 12's own is older; it has a newer one for building web browsers. */
export function cargoPackage() {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID=debian$/m.test(release) && /^VERSION_ID="?12"?$/m.test(release) ? "cargo-web" : "cargo";
}

function versionOf(program) {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout : "";
}
