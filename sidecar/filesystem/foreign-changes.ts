// What notifications say of changes made elsewhere, turned into less trust (RULES 32): the next use of a name asks the
// bucket, and the kernel forgets what it was told of it. No message makes, changes or removes anything by itself, so
// those that come twice, late, in another order, or never, do no harm.
//
// Changes made here are recognised by their generation. While one is under way its outcome is waited for.

import type { ObjectInfo } from "../bucket/bucket.ts";
import type { ObjectChange } from "../bucket/notifications/change-message.ts";
import type { Context } from "./context.ts";
import { DepartedNames } from "./departed-names.ts";
import { EVERY_NAME } from "./doubts.ts";
import { isWorkingObject, pathBelow } from "./names.ts";
import { isDirectory, isFile, versionOf, type DirectoryNode, type Node } from "./nodes.ts";
import { ended } from "./trust.ts";

/** How often it is looked whether a change of ours is over. */
const LOOK_AGAIN_MS = 50;
/** From then on what a message says counts, whatever is going on here. */
const PATIENCE_MS = 60_000;
// Full: what more messages say counts at once, which costs a question too many at worst.
const WAITING_MAX = 10_000;
/**
 * Messages do not say to which metageneration attributes were changed, only when. A change of attributes this shortly
 * after the one that is known may be that one. What it hides otherwise was trusted for a tenth of this at most.
 */
const SAME_CHANGE_MS = 1000;

interface Waiting {
  readonly change: ObjectChange;
  readonly untilMs: number;
}

export class ForeignChanges {
  readonly #context: Context;
  readonly #waiting: Waiting[] = [];
  #departed: DepartedNames | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** From now on messages may come; answers what takes one in, which costs no request. */
  begin(): (change: ObjectChange) => void {
    this.#departed ??= new DepartedNames();
    return (change) => this.#note(change);
  }

  /** A node has come to this name, or left it. */
  placeChanged(directory: DirectoryNode, name: string, node: Node): void {
    if (directory.children.get(name) === undefined) this.#departed?.note(directory, name, node);
  }

  #note(change: ObjectChange): void {
    if (this.#stopped) return;
    const full = this.#waiting.length >= WAITING_MAX;
    if (this.#take(change, full)) return;
    this.#waiting.push({ change, untilMs: this.#context.monotonicMs() + PATIENCE_MS });
    this.#lookAgain();
  }

  /** From now on messages are of no interest. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#waiting.length = 0;
  }

  #lookAgain(): void {
    if (this.#timer !== undefined || this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = this.#context.monotonicMs();
      for (const one of this.#waiting.splice(0))
        if (!this.#take(one.change, now > one.untilMs)) this.#waiting.push(one);
      this.#lookAgain();
    }, LOOK_AGAIN_MS);
    this.#timer.unref();
  }

  /** False if it has to wait for a change of ours. */
  #take(change: ObjectChange, atOnce: boolean): boolean {
    const { tree } = this.#context;
    const top = tree.objectName(tree.root);
    if (!change.object.startsWith(top) || isWorkingObject(change.object)) return true;
    const { folders, last } = pathBelow(top, change.object);
    let directory = tree.root;
    for (const name of folders) {
      if (!atOnce && isChangingHere(directory, name)) return false;
      const child = directory.children.get(name);
      if (!isDirectory(child)) {
        this.#unknownName(directory, name, change);
        return true;
      }
      directory = child;
    }
    if (last === undefined) return true; // it cannot be shown
    if (last !== "") return this.#takeFile(directory, last, change, atOnce);
    return this.#takePlaceholder(directory, change, atOnce);
  }

  #takeFile(directory: DirectoryNode, name: string, change: ObjectChange, atOnce: boolean): boolean {
    const node = directory.children.get(name);
    if (!atOnce && isChangingHere(directory, name, node)) return false;
    // An object beside the folder of its name: it shows when nothing is left of the folder.
    if (isDirectory(node)) this.#namesChanged(directory);
    else if (node === undefined) {
      this.#unknownName(directory, name, change);
      if (change.kind === "removed") this.#mayHaveVanished(directory, undefined);
    } else if (isNews(change, node.version)) this.#changed(directory, name, node, change);
    return true;
  }

  /** An object `name/` is a folder's: it has its attributes, and proves that there is one. */
  #takePlaceholder(directory: DirectoryNode, change: ObjectChange, atOnce: boolean): boolean {
    const { parent, name } = directory;
    if (parent === undefined) return true;
    const ours = isChangingHere(directory, "") || isChangingHere(parent, name, directory);
    if (!atOnce && ours) return false;
    if (!isNews(change, versionOf(directory))) return true;
    this.#changed(parent, name, directory, change);
    return true;
  }

  /** Of a name that is not known, or of something below it. */
  #unknownName(directory: DirectoryNode, name: string, { kind, generation, replacedBy }: ObjectChange): void {
    if (this.#departed?.covers(directory, name, replacedBy ?? generation) === true) return;
    this.#context.tree.doubt(directory, name);
    if (kind !== "removed") this.#namesChanged(directory);
  }

  #changed(directory: DirectoryNode, name: string, node: Node, change: ObjectChange): void {
    this.#nameChanged(directory, name, node);
    if (change.kind !== "removed" || change.replacedBy !== undefined) return;
    this.#namesChanged(directory);
    this.#mayHaveVanished(directory, node);
  }

  #nameChanged(directory: DirectoryNode, name: string, node: Node): void {
    const { tree, kernel, witness } = this.#context;
    tree.doubt(directory, name);
    node.confirmed = undefined;
    if (node.lookupCount > 0) void kernel().entryChanged(directory.id, name);
    witness().nameChanged(directory, name);
  }

  /** Which names there are is asked again; the kernel does not remember it. */
  #namesChanged(directory: DirectoryNode): void {
    this.#context.tree.doubt(directory, EVERY_NAME);
    if (directory.listed !== undefined) directory.listed = ended(directory.listed);
  }

  /** On a flat bucket a folder that has no object of its own goes with the last thing in it. */
  #mayHaveVanished(directory: DirectoryNode, leaving: Node | undefined): void {
    const { parent, name } = directory;
    if (this.#context.hierarchical || parent === undefined || versionOf(directory) !== undefined) return;
    for (const child of directory.children.values()) if (child !== leaving) return;
    this.#nameChanged(parent, name, directory);
    this.#namesChanged(parent);
    this.#mayHaveVanished(parent, directory);
  }
}

/** Whether something of ours is under way with this name: only its outcome tells whose change it was. */
function isChangingHere(directory: DirectoryNode, name: string, node?: Node): boolean {
  const { underWay = 0 } = directory.nameChanges.get(name) ?? {};
  if (underWay > 0 || directory.authoritative) return true;
  return node !== undefined && (node.changes.busy || (isFile(node) && node.save?.running === true));
}

/** Whether a change is later than the version that is known. Of a removed one also if it is that version. */
function isNews(
  { kind, generation, replacedBy, atMs }: ObjectChange,
  known: ObjectInfo | undefined,
): boolean {
  if (known === undefined) return true;
  if (kind === "removed" && replacedBy === undefined) return generation >= known.generation;
  if ((replacedBy ?? generation) > known.generation) return true;
  return kind === "attributes" && generation === known.generation && atMs > known.updatedMs + SAME_CHANGE_MS;
}
