// sqlite3 with its rollback journal (journal_mode=DELETE) and with a write-ahead log (WAL), on one mount.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { behaviours, type Place } from "../helpers/settings.ts";
import { comesToBe, localFolder } from "./trees.ts";

const behaviour = behaviours();
const run = promisify(execFile);

/** What a stranger finds in the database object: the verdict of the integrity check, and how many rows. */
async function inBucket({ t, server, top }: Place, name: string): Promise<string> {
  const file = path.join(await localFolder(t), "fetched.db");
  await writeFile(file, (await server.get(`${top}/${name}`)) ?? "");
  const program = `
import sqlite3; c = sqlite3.connect("${file}")
print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*), sum(length(text)) from notes").fetchone())`;
  return (await run("/usr/bin/python3", ["-c", program])).stdout.trim();
}

behaviour("a database is created, filled, closed, opened again and found whole", async (place) => {
  const { t, python, objects } = place;
  const said = await python(`
import sqlite3
c = sqlite3.connect("notes.db"); assert c.execute("pragma journal_mode=delete").fetchone()[0] == "delete"
c.execute("create table notes (id integer primary key, text)"); c.execute("create index by_text on notes (text)")
for batch in range(5):
    with c: c.executemany("insert into notes (text) values (?)", [("x" * 100,)] * 1000)
c.close()
c = sqlite3.connect("notes.db")
with c: c.execute("delete from notes where id % 2 = 0")
with c: c.execute("update notes set text = 'yy' where id = 1")
print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*), sum(length(text)) from notes").fetchone()); c.close()`);
  t.is(said.trim(), "ok (2500, 249902)");
  t.is(await inBucket(place, "notes.db"), said.trim());
  t.deepEqual(await objects(), ["notes.db"]);
});

behaviour("what was committed is in the bucket while the database is still open", async (place) => {
  const { t, python, shell, objects } = place;
  const local = await localFolder(t);
  const writer = python(`
import sqlite3, time
c = sqlite3.connect("notes.db"); c.execute("create table notes (id integer primary key, text)")
with c: c.executemany("insert into notes (text) values (?)", [("first",)] * 300)
open("${local}/committed", "w").close()
while not os.path.exists("${local}/go-on"): time.sleep(0.05)
c.execute("insert into notes (text) values ('never committed')"); c.close()`);
  await shell(`while [ ! -e '${local}/committed' ]; do sleep 0.05; done`);
  const seen = await inBucket(place, "notes.db");
  const there = await objects();
  await writeFile(path.join(local, "go-on"), "");
  await writer;
  t.is(seen, "ok (300, 1500)");
  t.deepEqual(there, ["notes.db"]);
  t.is(await inBucket(place, "notes.db"), "ok (300, 1500)");
  await comesToBe(t, objects, ["notes.db"]);
});

behaviour("a transaction that was broken off by a kill is rolled back", async (place) => {
  const { t, python, objects } = place;
  const said = await python(`
import signal, sqlite3
c = sqlite3.connect("notes.db"); c.execute("create table notes (id integer primary key, text)")
with c: c.executemany("insert into notes (text) values (?)", [("kept",)] * 2000)
c.close()
if os.fork() == 0:
    c = sqlite3.connect("notes.db", isolation_level=None); c.execute("pragma cache_size=5"); c.execute("begin")
    c.execute("update notes set text = 'broken off, and much longer than before'")
    os.kill(os.getpid(), signal.SIGKILL)
os.wait(); assert os.path.exists("notes.db-journal")
c = sqlite3.connect("notes.db")
print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*), sum(length(text)) from notes").fetchone()); c.close()`);
  t.is(said.trim(), "ok (2000, 8000)");
  t.is(await inBucket(place, "notes.db"), "ok (2000, 8000)");
  await comesToBe(t, objects, ["notes.db"]);
});

behaviour("processes of one machine exclude each other by the locks of the database", async (place) => {
  const { t, python, objects } = place;
  const said = await python(`
import sqlite3
c = sqlite3.connect("notes.db"); c.execute("create table notes (id integer primary key, text)"); c.commit(); c.close()
for child in range(4):
    if os.fork() == 0:
        c = sqlite3.connect("notes.db", timeout=60)
        for i in range(10):
            with c: c.execute("insert into notes (text) values (?)", (f"{child}",))
        c.close(); os._exit(0)
print([os.wait()[1] for _ in range(4)])`);
  t.is(said.trim(), "[0, 0, 0, 0]");
  t.is(await inBucket(place, "notes.db"), "ok (40, 40)");
  await comesToBe(t, objects, ["notes.db"]);
});

behaviour(
  "WAL: one process writes while another reads, and the closed database is in the bucket, whole",
  async (place) => {
    const { t, python, objects } = place;
    const said = await python(`
import sqlite3, sys
c = sqlite3.connect("notes.db"); print(c.execute("pragma journal_mode=wal").fetchone()[0])
c.execute("create table notes (id integer primary key, text)"); c.commit()
reader = os.fork()
if reader == 0:
    r = sqlite3.connect("notes.db", timeout=60); seen = 0
    while seen < 200:
        now = r.execute("select count(*) from notes").fetchone()[0]; assert now >= seen, (now, seen); seen = now
    assert r.execute("pragma integrity_check").fetchone()[0] == "ok"; r.close(); os._exit(0)
for i in range(200):
    with c: c.execute("insert into notes (text) values (?)", ("x" * (i * 10),))
print(os.waitpid(reader, 0)[1], sorted(os.listdir("."))); c.close()
c = sqlite3.connect("notes.db")
print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*), sum(length(text)) from notes").fetchone()); c.close()`);
    t.is(said.trim(), "wal\n0 ['notes.db', 'notes.db-shm', 'notes.db-wal']\nok (200, 199000)");
    t.is(await inBucket(place, "notes.db"), "ok (200, 199000)");
    await comesToBe(t, objects, ["notes.db"]);
  },
);

behaviour("WAL: two processes write in turn, and nothing of either is lost", async (place) => {
  const { t, python, objects } = place;
  const said = await python(`
import sqlite3
c = sqlite3.connect("notes.db"); c.execute("pragma journal_mode=wal"); c.execute("create table notes (id integer primary key, text)"); c.commit(); c.close()
for child in range(2):
    if os.fork() == 0:
        c = sqlite3.connect("notes.db", timeout=60)
        for i in range(100):
            with c: c.execute("insert into notes (text) values (?)", (f"{child}",))
        c.close(); os._exit(0)
print([os.wait()[1] for _ in range(2)])`);
  t.is(said.trim(), "[0, 0]");
  t.is(await inBucket(place, "notes.db"), "ok (200, 200)");
  await comesToBe(t, objects, ["notes.db"]);
});

behaviour("WAL: what a killed process had committed is there, what it had not is not", async (place) => {
  const { t, python, objects } = place;
  const said = await python(`
import signal, sqlite3
if os.fork() == 0:
    c = sqlite3.connect("notes.db"); c.execute("pragma journal_mode=wal"); c.execute("create table notes (id integer primary key, text)")
    with c: c.executemany("insert into notes (text) values (?)", [("kept",)] * 1000)
    c.execute("update notes set text = 'never committed'"); os.kill(os.getpid(), signal.SIGKILL)
os.wait(); assert os.path.exists("notes.db-wal")
c = sqlite3.connect("notes.db")
print(c.execute("pragma integrity_check").fetchone()[0], c.execute("select count(*), sum(length(text)) from notes").fetchone()); c.close()`);
  t.is(said.trim(), "ok (1000, 4000)");
  t.is(await inBucket(place, "notes.db"), "ok (1000, 4000)");
  await comesToBe(t, objects, ["notes.db"]);
});
