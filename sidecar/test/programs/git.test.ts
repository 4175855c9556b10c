// git: a repository on the mount, with its lock files, renames into place and read-only objects.

import { behaviours } from "../helpers/settings.ts";
import { comesToBe, fillWithSamples, localFolder, quoted, treeIn, treeInBucket } from "./trees.ts";

const behaviour = behaviours();

/** A git that nobody's settings reach, and that starts nothing in the background. */
const GIT =
  "export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null HOME=/nonexistent; " +
  "git() { command git -c init.defaultBranch=main -c user.name=A -c user.email=a@example.com -c gc.auto=0 " +
  "-c safe.directory='*' \"$@\"; }; ";

behaviour("git init, add, commit, branch, merge; fsck finds nothing, and no lock stays", async (place) => {
  const { t, path: mountPath, shell, objects } = place;
  await shell("mkdir repository");
  await fillWithSamples(mountPath("repository"), place);
  const said = await shell(`${GIT} cd repository
    git init -q; git add -A; git commit -qm first
    git checkout -qb side; echo side > side.txt; git add -A; git commit -qm side
    git checkout -q main; echo more >> plain.txt; git commit -qam second; git merge -q -m merge side
    git fsck --strict 2>&1; git status --porcelain; git log --first-parent --format=%s; git rev-list --count HEAD; git gc -q; git fsck 2>&1
    git rm -q side.txt; git commit -qm removed; git reset -q --hard HEAD~1; cat side.txt; git status --porcelain`);
  t.is(said, "merge\nsecond\nfirst\n4\nside\n");
  t.false((await objects()).some((name) => /\.lock$|\/tmp_/.test(name)));
  await comesToBe(t, () => treeInBucket(place, "repository"), await treeIn(mountPath("repository")));
});

behaviour("git clone onto the mount and from it", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  await fillWithSamples(local, place);
  await shell(`${GIT} cd ${quoted(local)}; git init -q; git add -A; git commit -qm first`);
  const head = await shell(
    `${GIT} git clone -q --no-hardlinks ${quoted(local)} clone; cd clone; git rev-parse HEAD; git fsck 2>&1`,
  );
  t.is(
    await shell(
      `${GIT} git clone -q --no-hardlinks clone ${quoted(local)}/back; git -C ${quoted(local)}/back rev-parse HEAD`,
    ),
    head,
  );
  await comesToBe(t, () => treeInBucket(place, "clone"), await treeIn(mountPath("clone")));
});
