// One sequence of operations in a folder of its own, carried out in both places and compared at every step.

import { isDeepStrictEqual } from "node:util";
import { statSync } from "node:fs";
import path from "node:path";
import { compareBucket, compareObject } from "./bucket-model.ts";
import { ClientLost, type Answer, type Call } from "./clients.ts";
import { everythingBelow, type DrawnPath, type Found } from "./paths.ts";
import { describeAnswer, describeCall } from "./script.ts";
import { expectedOf, toleratedBecause } from "./tolerated.ts";
import type { Who, World } from "./world.ts";

/** The two places, or the bucket and the plain folder, are not the same. */
export class Difference extends Error {}

/** An open file in both places, under one number. */
export interface Handle {
  readonly slot: number;
  readonly who: Who;
  readonly writable: boolean;
  /** Opened with O_SYNC or O_DSYNC. */
  readonly synchronous: boolean;
  readonly folder: boolean;
  /** A FIFO: neither file nor folder. */
  readonly special: boolean;
  /** Of the plain file: the same file has the same, whatever its name is by now. */
  readonly inode: bigint;
}

/** What is gathered for a second before it is sent; until then the file counts as changed here. */
const GATHERED = new Set([
  "change_mode",
  "handle_change_mode",
  "change_owner",
  "set_times",
  "handle_set_times",
  "rename",
  "rename_to",
  "rename_from",
]);
const GATHERING_MS = 1200;

export class Run {
  readonly world: World;
  /** Name of the run's folder, which is also the first part of its objects' names. */
  readonly top: string;
  readonly handles: Handle[] = [];
  /** Slots of files that had no name any more when a folder was removed: it may have been theirs. */
  readonly bereftSlots = new Set<number>();
  /** Folders (by their plain inode) that somebody else made by making something in them: they may have no object. */
  readonly implied = new Set<bigint>();
  /** What was done so far, as a script. */
  readonly script: string[] = [];
  readonly beganMs = performance.now();
  calls = 0;
  /** Something was stored through a mapping after its file was closed: it reaches the bucket a little later (RULES 1). */
  storedAfterClose = false;
  /** Set where folders may show older times than they had (SEMANTICS, "Times of folders"). */
  folderTimesLost = false;
  /** Until then attributes that were set here may hide what somebody else does to the file (SEMANTICS, "Changes made elsewhere"). */
  attributesUntilMs = 0;
  #nextSlot = 1;

  private constructor(world: World, top: string) {
    this.world = world;
    this.top = top;
  }

  static async begin(world: World): Promise<Run> {
    return new Run(world, await world.freshFolder());
  }

  get plain(): string {
    return path.join(this.world.plain, this.top);
  }

  everything(): Found[] {
    return everythingBelow(this.plain);
  }

  /** A path as text. One that was to exist is `a` where nothing does. */
  path(drawn: DrawnPath & { readonly below?: number }): string {
    const all = this.everything();
    if ("existing" in drawn) return all[drawn.existing % all.length]?.path ?? "a";
    if (drawn.below === undefined) return drawn.named;
    const folders = ["", ...all.filter(({ status }) => status.isDirectory()).map((each) => `${each.path}/`)];
    return `${folders[drawn.below % folders.length]}${drawn.named}`;
  }

  handle(index: number): Handle | undefined {
    return this.handles[index % this.handles.length];
  }

  newSlot(): number {
    return this.#nextSlot++;
  }

  noteHandle(handle: Handle): void {
    this.handles.push(handle);
  }

  dropHandle(handle: Handle): void {
    this.handles.splice(this.handles.indexOf(handle), 1);
  }

  /** Plain inode of what a path leads to. */
  inodeOf(name: string): bigint {
    return statSync(path.join(this.plain, name), { bigint: true }).ino;
  }

  /** Plain inode of what `name` in an open folder leads to; undefined if the folder has no name any more. */
  inodeOfHandle(folder: Handle, name: string): bigint | undefined {
    const place = this.everything().find(({ status }) => status.ino === folder.inode)?.path;
    return place === undefined ? undefined : this.inodeOf(`${place}/${name}`);
  }

  isFolder(inode: bigint): boolean {
    return this.everything().some(({ status }) => status.ino === inode && status.isDirectory());
  }

  isSpecial(inode: bigint): boolean {
    return this.everything().some(
      ({ status }) => status.ino === inode && !status.isDirectory() && !status.isFile(),
    );
  }

  hasName(inode: bigint): boolean {
    return this.everything().some(({ status }) => status.ino === inode);
  }

  isOpen(inode: bigint): boolean {
    return this.handles.some((handle) => handle.inode === inode);
  }

  /** Has a call made in both places; answers what they agree on. */
  async both(who: Who, call: Call): Promise<Answer> {
    this.calls += 1;
    const line = this.script.push(`${who} ${describeCall(call)}`) - 1;
    const [onMount, there] = await Promise.all([
      this.#ask("mount", who, call),
      this.#ask("plain", who, call),
    ]);
    const onPlain = expectedOf(there, this.world.settings);
    this.script[line] += ` → ${describeAnswer(onPlain)}`;
    if (GATHERED.has(call.call)) this.attributesUntilMs = performance.now() + GATHERING_MS;
    if (call.call === "remove_folder" && !("errno" in onPlain)) this.#noteBereft();
    if (isDeepStrictEqual(onMount, onPlain)) return onPlain;
    const reason = toleratedBecause(onMount, onPlain, this, call);
    if (reason !== undefined) return onPlain;
    throw new Difference(describeDifference(onMount, onPlain));
  }

  #noteBereft(): void {
    for (const { slot, inode } of this.handles) if (!this.hasName(inode)) this.bereftSlots.add(slot);
  }

  /** Has a call made on the mount only, which must answer `expected`. */
  async mountOnly(who: Who, call: Call, expected: Answer): Promise<void> {
    this.calls += 1;
    this.script.push(`${who} ${describeCall(call)} on the mount only → ${describeAnswer(expected)}`);
    const answer = await this.#ask("mount", who, call);
    if (!isDeepStrictEqual(answer, expected)) throw new Difference(describeDifference(answer, expected));
  }

  note(text: string): void {
    this.script.push(text);
  }

  /** Every name, attribute and byte. */
  async compareTrees(): Promise<void> {
    await this.both("A", { call: "tree", with_contents: true });
  }

  /** What was just closed or synced is in the bucket now, not soon; with --write-back it is soon. */
  async requireSaved(inode: bigint): Promise<void> {
    if (this.world.settings.writeBack === true) return;
    const found = this.everything().find(({ status }) => status.ino === inode);
    if (found?.status.isFile() !== true) return;
    const fault = await compareObject(this, found);
    if (fault !== undefined) throw new Difference(`acknowledged, but: ${fault}`);
  }

  /** The bucket holds the files of the plain folder, and nothing else; what is being removed gets a moment. */
  async compareBucket(): Promise<void> {
    const fault = await compareBucket(this);
    if (fault !== undefined) throw new Difference(`the bucket: ${fault}`);
  }

  /** What was stored through a mapping after the close is nobody's promise until it is in the bucket (DURABILITY). */
  async lateStoresArrived(): Promise<void> {
    if (this.storedAfterClose) await this.compareBucket();
    this.storedAfterClose = false;
  }

  async closeAll(): Promise<void> {
    for (const handle of this.handles.splice(0)) {
      await this.both(handle.who, { call: "close", slot: handle.slot });
    }
  }

  /** Closes, compares, and removes everything through the mount; afterwards the bucket holds nothing of it. */
  async end(): Promise<void> {
    await this.closeAll();
    await this.compareBucket();
    await this.compareTrees();
    await this.both("A", { call: "remove_all" });
    await this.compareBucket();
    await this.both("A", { call: "remove_folder", path: "" });
  }

  async #ask(where: "mount" | "plain", who: Who, call: Call): Promise<Answer> {
    const client = where === "mount" ? this.world.onMount[who] : this.world.onPlain[who];
    try {
      return await client.ask(call);
    } catch (error) {
      if (error instanceof ClientLost) throw new Difference(`on the ${where}: ${error.message}`);
      throw error;
    }
  }
}

function describeDifference(onMount: Answer, onPlain: Answer): string {
  return `on the mount: ${describeAnswer(onMount, onPlain)}\nexpected:     ${describeAnswer(onPlain, onMount)}`;
}
