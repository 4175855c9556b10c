import { setTimeout as delay } from "node:timers/promises";

import test from "ava";

import type { InodeId } from "../../filesystem/filesystem.ts";
import { OpenVersions } from "./open-versions.ts";
import type { Place } from "./paths.ts";

const place: Place = { folder: 1 as InodeId, name: "f" };
const [old, young] = [7 as InodeId, 8 as InodeId];
const openVersions = () => new OpenVersions(() => performance.now());

test("for a moment after an open the name stands for what was opened, then for what the file system knows", async (t) => {
  const versions = openVersions();
  await versions.admit(place, old);
  t.is(versions.inodeOf(place), old);
  t.is(versions.inodeOf({ ...place, name: "g" }), undefined);
  await delay(130);
  t.is(versions.inodeOf(place), undefined);
});

test("an open that brings another version waits until those before it have had their moment", async (t) => {
  const versions = openVersions();
  await versions.admit(place, old);
  const begun = performance.now();
  const admitted = versions.admit(place, young);
  await delay(50);
  t.is(versions.inodeOf(place), old);
  await admitted;
  t.true(performance.now() - begun >= 90, `${performance.now() - begun} ms`);
  t.is(versions.inodeOf(place), young);
});

test("opens of one version do not wait for each other, nor for what was closed or renamed", async (t) => {
  const versions = openVersions();
  const begun = performance.now();
  const closes = await Promise.all([versions.admit(place, old), versions.admit(place, old)]);
  for (const { besideOthers, onClose } of closes) {
    t.false(besideOthers);
    onClose();
  }
  t.is(versions.inodeOf(place), undefined, "nobody has it open");
  await versions.admit(place, young);
  versions.drop(place);
  await versions.admit(place, old);
  t.true(performance.now() - begun < 80);
  t.is(versions.inodeOf(place), old);
});

test("a late close of an older version takes nothing from the newer one", async (t) => {
  const versions = openVersions();
  const { onClose } = await versions.admit(place, old);
  t.true((await versions.admit(place, young)).besideOthers);
  onClose();
  t.is(versions.inodeOf(place), young);
  t.false((await versions.admit(place, young)).besideOthers);
});

test("what is open goes along with its name", async (t) => {
  const versions = openVersions();
  const moved: Place = { ...place, name: "moved" };
  const { onClose } = await versions.admit(place, old);
  versions.rename(place, moved);
  t.is(versions.openInode(place), undefined);
  t.is(versions.openInode(moved), old);
  t.true((await versions.admit(moved, young)).besideOthers);
  onClose();
  t.false((await versions.admit(moved, young)).besideOthers);
});
