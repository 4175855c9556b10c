import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import test from "ava";

import { until } from "./fixtures/start.ts";

// Nobody's number, so nobody's notes are in the way.
const UID = 64_999;
const inTmp = `/tmp/sidemount-${UID}`;
const session = `/run/user/${UID}`;
const tidy = (): void => {
  for (const folder of [inTmp, session]) fs.rmSync(folder, { recursive: true, force: true });
};

/** Runs lines of a module as that user; `found` says whether its note leads to it. */
async function asUser(lines: string): Promise<string> {
  const script = `
    import fs from "node:fs";
    import { spawnSync } from "node:child_process";
    import { forgetSupervisor, livingSupervisor, noteSupervisor } from ${JSON.stringify(path.join(import.meta.dirname, "run-file.ts"))};
    const found = () => livingSupervisor("/uploads") === process.pid;
    ${lines}`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    uid: UID,
    gid: UID,
    cwd: "/",
    timeout: 20_000,
  });
  return stdout.trim();
}

test.beforeEach(tidy);
test.afterEach.always(tidy);

test.serial("a user's note is found when the folder of the user's session comes or goes", async (t) => {
  fs.mkdirSync(session, { recursive: true });
  fs.chownSync(session, UID, UID);
  t.is(
    await asUser(`
      noteSupervisor("/uploads");
      const before = found();
      fs.rmSync("${session}/sidemount", { recursive: true });
      const gone = found();
      forgetSupervisor("/uploads");
      console.log(before, gone, found(), fs.readdirSync("${inTmp}").length)`),
    "true true false 0",
  );
});

test.serial("what is no small file of the user's own is no note, and nobody waits for it", async (t) => {
  t.is(
    await asUser(`
      noteSupervisor("/uploads");
      const [note] = fs.readdirSync("${inTmp}").map((name) => "${inTmp}/" + name);
      const seen = [found()];
      for (const put of [
        () => spawnSync("mkfifo", [note]),
        () => fs.symlinkSync("/dev/zero", note),
        () => fs.writeFileSync(note, " ".repeat(1e6)),
        () => fs.mkdirSync(note),
      ]) {
        fs.rmSync(note, { recursive: true });
        put();
        seen.push(found());
      }
      console.log(...seen)`),
    "true false false false false",
  );
});

test.serial(
  "a note that would be right is none as a link, when it is long, or when it is root's",
  async (t) => {
    const said = asUser(`
    noteSupervisor("/uploads");
    const note = "${inTmp}/" + fs.readdirSync("${inTmp}")[0];
    const text = fs.readFileSync(note, "utf8");
    fs.renameSync(note, "${inTmp}/kept");
    fs.symlinkSync("${inTmp}/kept", note);
    const linked = found();
    fs.rmSync(note);
    fs.writeFileSync(note, text + " ".repeat(20_000));
    const long = found();
    fs.writeFileSync(note, text);
    const right = found();
    fs.writeFileSync("${inTmp}/written", "");
    while (fs.statSync(note).uid !== 0) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(linked, long, right, found())`);
    await until(() => fs.existsSync(`${inTmp}/written`));
    for (const name of fs.readdirSync(inTmp)) fs.chownSync(path.join(inTmp, name), 0, 0);
    t.is(await said, "false false true false");
  },
);
