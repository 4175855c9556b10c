// Editors, each with its own way of not losing the text it saves.

import { behaviours, type Place } from "../helpers/settings.ts";
import { comesToBe, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

/** vim as it comes, without anybody's settings, told what to type. Below /tmp, where the mounts are, it makes no backups. */
const VIM = "vim() { vim.tiny -N -u NONE -i NONE -es -c 'set backupskip=' \"$@\" < /dev/null; }; ";

/** The mode the bucket keeps for a file. */
async function modeOf(place: Place, name: string): Promise<string | undefined> {
  return (await treeInBucket(place, "", "mode and time"))[name]?.split(", ")[2]?.split(" ")[0];
}

for (const [way, settings] of [
  ["under a new name and renamed", "set backupcopy=no"],
  ["in place, with a copy beside it", "set backupcopy=yes"],
  ["with the backup kept", "set backup backupcopy=no"],
  ["with nothing beside it", "set nowritebackup"],
] as const) {
  behaviour(`vim saves a file ${way}, and leaves nothing else`, async (place) => {
    const { t, shell, object, objects } = place;
    await shell(`printf 'first\\nsecond\\n' > notes; chmod 640 notes
      ${VIM} vim -c '${settings}' -c '1s/first/changed/' -c 'w' -c '$s/$/ line/' -c 'wq' notes`);
    t.is(await object("notes"), "changed\nsecond line\n");
    t.is(await shell("stat -c %a notes"), "640\n");
    const kept = settings.startsWith("set backup ") ? ["notes", "notes~"] : ["notes"];
    await comesToBe(t, objects, kept);
    t.deepEqual((await shell("ls -A")).trim().split("\n"), kept);
    await comesToBe(t, () => modeOf(place, "notes"), "640");
  });
}

behaviour(
  "vim saves a file again and again, and never thinks that somebody else changed it",
  async (place) => {
    const { t, shell, object } = place;
    // It would ask, and in a script no answer means no; it looks at the modification time.
    await shell(`echo one > notes; ${VIM} vim \\
    -c 'normal Aa' -c w -c 'sleep 1500m' -c 'normal Ab' -c w -c 'sleep 1500m' -c 'normal Ac' -c wq notes`);
    t.is(await object("notes"), "oneabc\n");
  },
);

behaviour("what a killed vim left is recovered from its swap file", async (place) => {
  const { t, shell, object, objects } = place;
  await shell(`printf 'kept\\n' > notes
    ${VIM} vim -c 'set directory=.' -c 'normal oadded by hand' -c preserve -c '!kill -9 $PPID' notes || true
    ls -A`);
  t.true((await shell("ls -A")).includes(".notes.swp"));
  await shell(`${VIM} vim -c 'set directory=.' -c recover -c 'wq' notes || true; rm .notes.swp`);
  t.is(await object("notes"), "kept\nadded by hand\n");
  await comesToBe(t, objects, ["notes"]);
});

behaviour("saving as Emacs does: lock link, auto-save, the old file renamed to a backup", async (place) => {
  const { t, python, object, objects } = place;
  await python(`
with open("notes", "w") as f: f.write("old\\n")
os.chmod("notes", 0o640); mode = os.stat("notes").st_mode & 0o7777
os.symlink("user@host.4711:1700000000", ".#notes"); assert os.readlink(".#notes").startswith("user@")
f = os.open("#notes#", os.O_WRONLY|os.O_CREAT|os.O_TRUNC, 0o600); os.write(f, b"auto-saved\\n"); os.close(f)
os.rename("notes", "notes~")
f = os.open("notes", os.O_WRONLY|os.O_CREAT|os.O_TRUNC, 0o600); os.write(f, b"new\\n"); os.fchmod(f, mode); os.fsync(f); os.close(f)
os.unlink("#notes#"); os.unlink(".#notes")
assert os.stat("notes").st_mode & 0o7777 == 0o640`);
  t.is(await object("notes"), "new\n");
  t.is(await object("notes~"), "old\n");
  t.deepEqual(await objects(), ["notes", "notes~"]);
  await comesToBe(t, () => modeOf(place, "notes"), "640");
});

behaviour(
  "saving as GNOME's and KDE's editors do: a hidden temporary file, synced, renamed over",
  async (place) => {
    const { t, python, object, objects } = place;
    await python(`
with open("notes", "w") as f: f.write("old\\n")
os.chmod("notes", 0o604); before = os.stat("notes")
f = os.open(".goutputstream-X1Y2Z3", os.O_RDWR|os.O_CREAT|os.O_EXCL, 0o666)
os.fchown(f, before.st_uid, before.st_gid); os.fchmod(f, before.st_mode & 0o7777)
os.write(f, b"new\\n"); os.fsync(f); os.rename(".goutputstream-X1Y2Z3", "notes"); assert os.fstat(f).st_size == 4; os.close(f)
assert os.stat("notes").st_mode & 0o7777 == 0o604`);
    t.is(await object("notes"), "new\n");
    t.deepEqual(await objects(), ["notes"]);
    await comesToBe(t, () => modeOf(place, "notes"), "604");
  },
);
