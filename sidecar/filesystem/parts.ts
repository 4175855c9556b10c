// The groups of operations on one tree, each made once, from those that ask to those that change.

import { Contested } from "./contested.ts";
import type { Context } from "./context.ts";
import { RangeCopier } from "./copy-range.ts";
import { FileCreator } from "./create.ts";
import { OpenDirectories } from "./directories.ts";
import { Exchanger } from "./exchange.ts";
import { Explorer } from "./explore.ts";
import { ExtendedAttributes } from "./extended-attributes.ts";
import { LevelExplorer } from "./explore-levels.ts";
import { FileData } from "./file-data.ts";
import { FolderPlaceholders } from "./folder-placeholders.ts";
import { FolderResources } from "./folder-resources.ts";
import { ForeignChanges } from "./foreign-changes.ts";
import { InheritedCloses } from "./inherited.ts";
import { LateStores } from "./late-stores.ts";
import { Lookup } from "./lookup.ts";
import { Namespace } from "./namespace.ts";
import { OpenFiles } from "./open-files.ts";
import { Patcher } from "./patch.ts";
import { FileRenamer } from "./rename.ts";
import { FolderRenamer } from "./rename-folder.ts";
import { Resting } from "./resting.ts";
import { Saver } from "./save.ts";
import { FileSpace } from "./space.ts";
import { AttributeSetter } from "./set-attributes.ts";
import { StaleTails } from "./stale-tails.ts";
import { WriteBack } from "./write-back/write-back.ts";
import { Tombstones } from "./tombstones.ts";
import { VersionTimes } from "./version-times.ts";

export type Parts = ReturnType<typeof makeParts>;

export function makeParts(context: Context) {
  const explorer = context.hierarchical ? new LevelExplorer(context) : new Explorer(context);
  const lookup = new Lookup(context, explorer);
  const patcher = new Patcher(context);
  const times = new VersionTimes(context.wallNs);
  const saver = new Saver(context, patcher, times);
  const resting = new Resting(context, saver);
  const lateStores = new LateStores(context, saver);
  const openFiles = new OpenFiles(context, { resting, lateStores });
  const folders = context.hierarchical
    ? new FolderResources(context, patcher)
    : new FolderPlaceholders(context, patcher);
  const tombstones = new Tombstones(context);
  const namespace = new Namespace(context, folders, tombstones);
  const data = new FileData(context, resting);
  const shared = {
    explorer,
    folders,
    lookup,
    namespace,
    openFiles,
    resting,
    saver,
    patcher,
    times,
    tombstones,
  };
  const attributes = new AttributeSetter(context, shared);
  return {
    lookup,
    patcher,
    saver,
    resting,
    lateStores,
    openFiles,
    namespace,
    contested: new Contested(context, lookup, openFiles),
    directories: new OpenDirectories(context, lookup),
    inherited: new InheritedCloses(context, saver),
    data,
    ranges: new RangeCopier(context, data),
    space: new FileSpace(context),
    creator: new FileCreator(context, shared),
    attributes,
    extended: context.extendedAttributes ? new ExtendedAttributes(context, attributes) : undefined,
    exchanger: new Exchanger(context, shared),
    files: new FileRenamer(context, shared),
    folders: new FolderRenamer(context, shared),
    writeBack:
      context.writeBack === undefined ? undefined : new WriteBack(context, shared, context.writeBack),
    tombstones,
    staleTails: new StaleTails(context),
    foreignChanges: new ForeignChanges(context),
  };
}
