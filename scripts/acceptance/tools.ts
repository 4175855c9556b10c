// Programs that write in other ways than the app: items 16 and 17.

import { randomBytes } from "node:crypto";
import { mkdir, readdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { run, type Outcome } from "./programs.ts";
import { equal, holds, type Group } from "./step.ts";
import { view } from "./visitor.ts";

const MB = 1_000_000;

async function succeeds(command: readonly string[], cwd: string): Promise<Outcome> {
  const outcome = await run(command, { cwd });
  equal(`status of ${command[0]} (${outcome.stderr.trim()})`, outcome.status, 0);
  return outcome;
}

export const tools: Group = {
  name: "Other programs",
  steps: [
    {
      id: "B.3-16",
      title: "sqlite3 keeps every committed row, and the object is the whole database",
      expected: "1000 rows in 20 transactions; intact on the mount and as downloaded",
      run: database,
    },
    {
      id: "B.3-16",
      title: "locks exclude the programs of one machine",
      expected: "flock and fcntl: refused while another process holds it, granted afterwards",
      run: locks,
    },
    {
      id: "B.3-17",
      title: "rsync leaves one object and nothing else, and a reader sees the old or the new file",
      expected: "50 MB identical, no temporary object, every answer one whole version",
      run: rsync,
    },
    {
      id: "B.3-17",
      title: "copying with modes, appending and truncating work on existing objects",
      expected: "shutil.copy keeps the mode; 10 MB appended to; truncated down and up",
      run: editing,
    },
    {
      id: "B.3-17",
      title: "a folder with 100 files can be renamed, and only an empty one removed",
      expected: "100 files under the new name, none under the old; ENOTEMPTY for a full folder",
      run: folders,
    },
  ],
};

async function database(stage: Stage): Promise<string> {
  const script = `
import sqlite3
connection = sqlite3.connect("x.db", isolation_level=None)
connection.execute("create table t (n integer primary key, text)")
for transaction in range(20):
    connection.execute("begin")
    for row in range(50):
        connection.execute("insert into t (text) values (?)", ("x" * 200,))
    connection.execute("commit")
connection.close()
print(sqlite3.connect("x.db").execute("select count(*) from t").fetchone()[0])
`;
  const wrote = await succeeds(["/usr/bin/python3", "-c", script], stage.uploads);
  equal("rows on the mount", wrote.stdout.trim(), "1000");

  const bytes = await new BucketApi(stage).read("x.db");
  const copy = await stage.scratch("x.db", bytes);
  const verify = `
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("pragma integrity_check").fetchone()[0], connection.execute("select count(*) from t").fetchone()[0])
`;
  const read = await succeeds(["/usr/bin/python3", "-c", verify, copy], "/");
  equal("the downloaded database", read.stdout.trim(), "ok 1000");
  const left = (await readdir(stage.uploads)).filter((name) => name.startsWith("x.db"));
  equal("files of the database", left.join(" "), "x.db");
  return `1000 rows, integrity ok, object of ${bytes.length} bytes`;
}

async function locks(stage: Stage): Promise<string> {
  // One process holds the lock; a child tries to get it, then again after it was let go.
  const script = `
import fcntl, os, sys
take = {"flock": fcntl.flock, "fcntl": fcntl.lockf}[sys.argv[1]]
file = open("locked.txt", "w")
take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
def other():
    child = os.fork()
    if child == 0:
        try:
            take(open("locked.txt", "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
held = other()
take(file, fcntl.LOCK_UN)
print(held, other())
`;
  for (const kind of ["flock", "fcntl"]) {
    const { stdout } = await succeeds(["/usr/bin/python3", "-c", script, kind], stage.uploads);
    equal(`${kind}: while held, afterwards`, stdout.trim(), "3 0");
  }
  return "refused while held, granted afterwards, both kinds (two mounts do not share them)";
}

async function rsync(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const versions = [randomBytes(50 * MB), randomBytes(50 * MB - 12_345)];
  const source = await stage.scratch("large.gif", versions[0]!);
  await succeeds(["rsync", source, `${stage.uploads}/`], "/");
  await bucket.mustHold("large.gif", versions[0]!);

  await writeFile(source, versions[1]!);
  let done = false;
  let answers = 0;
  const reading = (async () => {
    do {
      const answer = await view(stage, "large.gif");
      equal("status", answer.status, 200);
      holds(
        versions.some((version) => version.equals(answer.body)),
        `a mixture of ${answer.body.length} bytes`,
      );
      answers += 1;
    } while (!done);
  })();
  const writing = succeeds(["rsync", source, `${stage.uploads}/`], "/");
  await Promise.race([writing, reading]).finally(() => (done = true));
  await Promise.all([writing, reading]);

  await bucket.mustHold("large.gif", versions[1]!);
  const related = (await bucket.list()).map(({ name }) => name).filter((name) => name.includes("large.gif"));
  equal("objects", related.join(" "), "large.gif");
  await bucket.remove("large.gif");
  return `one object; ${answers} whole answers meanwhile`;
}

async function editing(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const source = await stage.scratch("script.txt", "#!/bin/sh\necho hello\n");
  const copy = `import os, shutil, sys; os.chmod(sys.argv[1], 0o750); shutil.copy(sys.argv[1], "copied.txt")`;
  await succeeds(["/usr/bin/python3", "-c", copy, source], stage.uploads);
  const { stdout } = await succeeds(["stat", "-c", "%a", "copied.txt"], stage.uploads);
  equal("mode of the copy", stdout.trim(), "750");
  await bucket.mustHold("copied.txt", Buffer.from("#!/bin/sh\necho hello\n"));

  const before = randomBytes(10 * MB);
  await bucket.write("log.txt", before);
  await succeeds(["sh", "-c", "echo one more line >> log.txt"], stage.uploads);
  await bucket.mustHold("log.txt", Buffer.concat([before, Buffer.from("one more line\n")]));

  await succeeds(["truncate", "-s", "1000000", "log.txt"], stage.uploads);
  await bucket.mustHold("log.txt", before.subarray(0, MB));
  await succeeds(["truncate", "-s", "1000010", "log.txt"], stage.uploads);
  await bucket.mustHold("log.txt", Buffer.concat([before.subarray(0, MB), Buffer.alloc(10)]));
  return "mode 750; appended; 1000000 and 1000010 bytes";
}

async function folders(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const contents = new Map<string, Buffer>();
  await mkdir(join(stage.uploads, "album"));
  for (let index = 0; index < 100; index += 1) {
    const content = randomBytes(index * 10);
    contents.set(`${index}.txt`, content);
    await writeFile(join(stage.uploads, "album", `${index}.txt`), content);
  }
  const refused = await rmdir(join(stage.uploads, "album")).then(
    () => "removed",
    (error: NodeJS.ErrnoException) => error.code,
  );
  equal("rmdir of the full folder", refused, "ENOTEMPTY");

  const begin = performance.now();
  await succeeds(["mv", "album", "holidays"], stage.uploads);
  const ms = Math.round(performance.now() - begin);
  equal("files", (await readdir(join(stage.uploads, "holidays"))).length, 100);
  holds(!(await readdir(stage.uploads)).includes("album"), "the old name is still listed");
  // Through the mount it is done; what is left of the work in the bucket may take a moment.
  for (let wait = 0; wait < 100 && (await bucket.list("album/")).length > 0; wait += 1) await sleep(100);
  equal("objects under the old name", (await bucket.list("album/")).length, 0);
  for (const [name, content] of contents) await bucket.mustHold(`holidays/${name}`, content);

  await succeeds(["rm", "-r", "holidays"], stage.uploads);
  equal("objects after rm -r", (await bucket.list("holidays/")).length, 0);
  return `ENOTEMPTY; renamed in ${ms} ms; removed`;
}
