// nano, typed into through a terminal of its own.

import { behaviours } from "../../helpers/settings.ts";
import { comesToBe } from "../../programs/trees.ts";

const behaviour = behaviours();

/** Starts nano with `words`, types `keys` one after another, and waits for its end. */
const typed = (words: string, keys: readonly string[]): string => `
import pty, select, time
pid, terminal = pty.fork()
if pid == 0: os.environ.update(TERM="vt100", HOME="/nonexistent", LC_ALL="C"); os.execvp("nano", ["nano", "--ignorercfiles", *"${words}".split()])
def show(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.05)[0]:
            try: end = end if os.read(terminal, 65536) else 0
            except OSError: return
show(1)
for keys in ${JSON.stringify(keys)}: os.write(terminal, keys.encode()); show(0.7)
print(os.waitpid(pid, 0)[1], sorted(os.listdir(".")))`;

const [SAVE, ENTER, EXIT] = ["\u000f", "\r", "\u0018"];

behaviour("nano saves a file, and saves it again", async ({ t, shell, python, object, objects }) => {
  await shell("printf 'first\\nsecond\\n' > notes; chmod 640 notes");
  const said = await python(typed("notes", ["new ", SAVE, ENTER, "and newer ", SAVE, ENTER, EXIT]));
  t.is(said, "0 ['notes']\n");
  t.is(await object("notes"), "new and newer first\nsecond\n");
  t.is(await shell("stat -c %a notes"), "640\n");
  await comesToBe(t, objects, ["notes"]);
});

behaviour("nano keeps the old version as a backup, and makes a file that is new", async (place) => {
  const { t, shell, python, object } = place;
  await shell("echo old > notes");
  t.is(await python(typed("--backup notes", ["new ", SAVE, ENTER, EXIT])), "0 ['notes', 'notes~']\n");
  t.is(await object("notes"), "new old\n");
  t.is(await object("notes~"), "old\n");
  t.is(await python(typed("letter", ["Dear all", EXIT, "y", ENTER])), "0 ['letter', 'notes', 'notes~']\n");
  t.is(await object("letter"), "Dear all\n");
});
