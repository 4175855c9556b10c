import test, { type ExecutionContext } from "ava";
import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { IDENTITY, openStore, temporaryFolder } from "./folder.fixture.ts";
import { OwedWork } from "./owed-work.ts";
import { prepareDatabase } from "./prepare-database.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { StateFolder, StateFolderError } from "./state-folder.ts";

const VERSION_1 = fs.readFileSync(new URL("./fixtures/state-version-1.sql", import.meta.url), "utf8");

/** A state folder as the first version left it when it was killed. */
async function folderOfVersion1(t: ExecutionContext): Promise<string> {
  const directory = await temporaryFolder(t);
  fs.mkdirSync(path.join(directory, "copies"));
  const database = new DatabaseSync(path.join(directory, "copies.db"));
  database.exec(VERSION_1);
  for (const { id, object } of database.prepare("SELECT id, object FROM copies").all())
    fs.writeFileSync(path.join(directory, "copies", String(id)), `${String(object)} bytes`);
  const nowMs = Date.now();
  database.prepare("UPDATE copies SET used_ms = ?").run(nowMs + 50); // the upload was noted after the last write
  database.close();
  await delay(60);
  return directory;
}

function columns(database: DatabaseSync, table: string): unknown[] {
  return database
    .prepare(`PRAGMA table_info(${table})`)
    .all()
    .map(({ name, type, notnull, pk }) => ({ name, type, notnull, pk }));
}

test("a state folder of the first version is brought up to date, and nothing in it is lost", async (t) => {
  const directory = await folderOfVersion1(t);
  const { state, store, background, close, failures } = await openStore(directory);
  await background.idle();
  t.deepEqual(
    (await store.kept.list()).map(({ object, state: of, size, intent }) => [object, of, size, intent.base]),
    [
      ["failed", "failed", 12, undefined],
      ["dirty", "unfinished", 11, "absent"],
    ],
  );
  const owed = new OwedWork(state.database);
  t.deepEqual(await owed.counts(), { patches: 1, removals: 1, renames: 1, exchanges: 0 });
  const [clean] = await state.database.read("SELECT object FROM copies WHERE state = 'clean'");
  t.is(clean?.["object"], "clean");
  await close();
  t.deepEqual(failures, []);
  t.deepEqual(
    fs.readdirSync(path.join(directory, "copies")).length,
    3,
    "the one that was uploaded is of no use",
  );
});

test("tables that were brought up to date are those that are made anew", async (t) => {
  const old = new DatabaseSync(":memory:");
  old.exec(VERSION_1);
  prepareDatabase(old);
  const fresh = new DatabaseSync(":memory:");
  prepareDatabase(fresh);
  const tables = fresh.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  t.true(tables.length >= 7);
  for (const { name } of tables)
    t.deepEqual(columns(old, String(name)), columns(fresh, String(name)), String(name));
  for (const database of [old, fresh])
    t.is(
      database.prepare("SELECT value FROM identity WHERE key = 'schema'").get()?.["value"],
      String(SCHEMA_VERSION),
    );
  prepareDatabase(old); // once more changes nothing
  old.close();
  fresh.close();
});

test("a state folder of a newer version is refused with a sentence, and left as it is", async (t) => {
  const directory = await temporaryFolder(t);
  await (await StateFolder.open(directory, IDENTITY)).close();
  const file = path.join(directory, "copies.db");
  const database = new DatabaseSync(file);
  database.exec("UPDATE identity SET value = '99' WHERE key = 'schema'");
  database.close();
  const before = fs.readFileSync(file);
  const error = await t.throwsAsync(StateFolder.open(directory, IDENTITY), { instanceOf: StateFolderError });
  t.regex(
    error?.message ?? "",
    /cannot be used, and nothing in it was changed: .*written by a newer sidemount \(tables of version 99/,
  );
  t.deepEqual(fs.readFileSync(file), before);
});

test("what is no database of ours is refused with a sentence, and left as it is", async (t) => {
  for (const [what, make, words] of [
    [
      "text",
      (file: string) =>
        fs.writeFileSync(file, "this is not a database, but may be dear to somebody ".repeat(20)),
      /not a database/,
    ],
    [
      "somebody else's database",
      (file: string) => {
        const database = new DatabaseSync(file);
        database.exec("CREATE TABLE theirs (x)");
        database.close();
      },
      /not those of sidemount/,
    ],
  ] as const) {
    const directory = await temporaryFolder(t);
    const file = path.join(directory, "copies.db");
    make(file);
    const before = fs.readFileSync(file);
    const error = await t.throwsAsync(
      StateFolder.open(directory, IDENTITY),
      { instanceOf: StateFolderError },
      what,
    );
    t.regex(error?.message ?? "", words, what);
    t.deepEqual(fs.readFileSync(file), before, what);
  }
});

test("files and records that are not understood stay, and are reported", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  await first.state.database.write({
    sql: "INSERT INTO copies (id, object, state, bytes, used_ms) VALUES ('x', 'later', 'sparkling', 1, 1)",
    values: [],
  });
  await first.close();
  const stranger = path.join(directory, "copies", "notes.txt");
  const stray = path.join(directory, "copies", "00000000-0000-4000-8000-000000000000");
  for (const file of [stranger, stray]) fs.writeFileSync(file, "x");
  await delay(20);
  const second = await openStore(directory);
  await second.background.idle();
  t.true(fs.existsSync(stranger));
  t.false(fs.existsSync(stray), "fetched, but never kept");
  t.is((await second.state.database.read("SELECT 1 FROM copies WHERE state = 'sparkling'")).length, 1);
  t.deepEqual(second.warnings.map(({ message }) => String(message)).toSorted(), [
    "a record in the state folder has an unknown state; it is left alone",
    "files in the state folder are not known to its database; they are left alone",
  ]);
  await second.close();
});

test("copies whose database was lost stay, and are reported", async (t) => {
  const directory = await temporaryFolder(t);
  const first = await openStore(directory);
  const copy = first.store.create("f");
  await first.close();
  for (const name of fs.readdirSync(directory).filter((each) => each.startsWith("copies.db")))
    fs.rmSync(path.join(directory, name));
  await delay(20);
  const second = await openStore(directory);
  await second.background.idle();
  t.true(fs.existsSync(copy.path));
  t.is(second.warnings.length, 1);
  await second.close();
});
