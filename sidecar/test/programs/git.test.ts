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

behaviour("git clone from one folder of the mount to another, by path and by file://", async (place) => {
  const { t, path: mountPath, shell } = place;
  await shell("mkdir repository");
  await fillWithSamples(mountPath("repository"), place);
  const said = await shell(`${GIT} cd repository; git init -q; git add -A; git commit -qm first
    git checkout -qb side; echo side > side.txt; rm plain.txt; git add -A; git commit -qm side; git checkout -q main; cd ..
    git clone -q repository by-path; git clone -q "file://$PWD/repository" by-url; git clone -q --bare "file://$PWD/repository" bare.git
    for clone in by-path by-url; do
      cd $clone; git fsck --strict 2>&1; git status --porcelain; test -e plain.txt
      git checkout -q side; cat side.txt; test ! -e plain.txt; git status --porcelain; git checkout -q main; git diff --stat; cd ..
    done; git -C bare.git fsck --strict 2>&1; git -C bare.git rev-list --count --all`);
  t.is(said, "side\nside\n2\n");
  for (const clone of ["by-path", "by-url", "bare.git"])
    await comesToBe(t, () => treeInBucket(place, clone), await treeIn(mountPath(clone)));
});

behaviour("several people push to a bare repository on the mount and pull from it", async (place) => {
  const { t, path: mountPath, shell } = place;
  const local = await localFolder(t);
  const said = await shell(`${GIT} git init -q --bare central.git; cd ${quoted(local)}
    for who in ann bob; do git clone -q "${mountPath("central.git")}" $who 2> /dev/null; done
    cd ann; echo 1 > a; git add a; git commit -qm one; git push -q origin main; cd ../bob
    git pull -q origin main; echo 2 > b; git add b; git commit -qm two; git push -q origin main; cd ../ann
    echo 3 > c; git add c; git commit -qm three; git push -q origin main 2> /dev/null || echo refused
    git pull -q --rebase origin main; git push -q origin main; git repack -qad; git -C "${mountPath("central.git")}" repack -qad
    git -C "${mountPath("central.git")}" fsck --strict 2>&1; git -C "${mountPath("central.git")}" log --format=%s main`);
  t.is(said, "refused\nthree\ntwo\none\n");
  await comesToBe(t, () => treeInBucket(place, "central.git"), await treeIn(mountPath("central.git")));
});
