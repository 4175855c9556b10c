import test from "ava";
import { Journal } from "../handover/journal.ts";
import type { ObjectInfo } from "../bucket/bucket.ts";
import type { FileNode, Node } from "./nodes.ts";
import { placeSerial } from "./observations.ts";
import { Tree } from "./tree.ts";

const owner = { uid: 0, gid: 0, mode: 0o666 };

function version(name: string, generation: bigint, size = 1): ObjectInfo {
  return {
    name,
    generation,
    metageneration: 1n,
    size,
    crc32c: 0,
    createdMs: 0,
    updatedMs: 0,
    contentType: undefined,
    contentEncoding: undefined,
    metadata: {},
  };
}

function newTree(hierarchical = false) {
  const events: string[] = [];
  const tree = new Tree({
    isBuried: () => false,
    prefix: "",
    hierarchical,
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: { ...owner, mode: 0o777 },
    trust: { freshnessMs: 60_000, soleWriter: false },
    monotonicMs: () => 0,
    wallNs: () => 0n,
    entryChanged: async (_, name) => void events.push(`entry ${name}`),
    placeChanged: () => undefined,
    attributesChanged: (node: Node) => events.push(`attributes ${node.name}`),
    replaced: (node) => events.push(`replaced ${node.name}`),
  });
  return { tree, events };
}

test("RULES 7: an answer that began before a local change says nothing about that name", (t) => {
  const { tree } = newTree();
  const before = tree.beginObservation();
  tree.beginChange(tree.root, "a")();
  tree.observeObject(tree.root, "a", version("a", 1n), 0, before);
  t.false(tree.root.children.has("a"), "a name that was removed here does not come back");
  tree.observeObject(tree.root, "b", version("b", 1n), 0, before);
  t.true(tree.root.children.has("b"), "other names of the same answer are news");
});

test("RULES 7: while a change is under way no answer counts, afterwards only those that began later", (t) => {
  const { tree } = newTree();
  const end = tree.beginChange(tree.root, "a");
  const during = tree.beginObservation();
  tree.observeObject(tree.root, "a", version("a", 1n), 0, during);
  t.false(tree.root.children.has("a"));
  end();
  tree.observeObject(tree.root, "a", version("a", 1n), 0, during);
  t.false(tree.root.children.has("a"));
  tree.observeObject(tree.root, "a", version("a", 1n), 0, tree.beginObservation());
  t.true(tree.root.children.has("a"));
});

test("RULES 7: a lower generation never replaces a higher one", (t) => {
  const { tree } = newTree();
  tree.observeObject(tree.root, "a", version("a", 5n), 0, tree.beginObservation());
  tree.observeObject(tree.root, "a", version("a", 4n), 0, tree.beginObservation());
  t.is((tree.root.children.get("a") as FileNode).version?.generation, 5n);
});

test("RULES 34: a lower generation that was asked for since has come with a folder renamed elsewhere", (t) => {
  const { tree } = newTree(true);
  const early = tree.beginObservation();
  tree.observeObject(tree.root, "a", version("a", 5n), 0, tree.beginObservation());
  tree.observeObject(tree.root, "a", version("a", 4n), 0, early);
  t.is((tree.root.children.get("a") as FileNode).version?.generation, 5n);
  tree.observeObject(tree.root, "a", version("a", 4n), 0, tree.beginObservation());
  t.is((tree.root.children.get("a") as FileNode).version?.generation, 4n);
});

test("RULES 34: what was asked before a folder was renamed says nothing of what is below it", (t) => {
  const { tree } = newTree(true);
  const above = tree.addDirectory(tree.root, "above");
  const folder = tree.addDirectory(above, "folder");
  const [early, place] = [tree.beginObservation(), placeSerial(folder)];
  tree.movedBelow(above);
  tree.observeObject(folder, "a", version("a", 1n), 0, early);
  tree.observeComplete(folder, new Set(["a"]), 0, 0, early);
  t.is(folder.children.size, 0);
  t.is(folder.listed, undefined);
  t.not(placeSerial(folder), place);
  t.is(placeSerial(tree.root), 0);
  tree.observeObject(folder, "a", version("a", 1n), 0, tree.beginObservation());
  t.true(folder.children.has("a"));
});

test("a remote replacement is a new inode; the old one keeps its number and has no name", (t) => {
  const { tree, events } = newTree();
  tree.observeObject(tree.root, "a", version("a", 1n), 0, tree.beginObservation());
  const old = tree.root.children.get("a") as FileNode;
  old.lookupCount = 1;
  tree.observeObject(tree.root, "a", version("a", 2n, 9), 0, tree.beginObservation());
  const fresh = tree.root.children.get("a") as FileNode;
  t.not(fresh.id, old.id);
  t.is(old.parent, undefined);
  t.is(tree.get(old.id), old);
  t.deepEqual(events, ["replaced a", "entry a"]);
});

test("a complete listing removes names it did not show, but never what is newer here", (t) => {
  const { tree } = newTree();
  tree.observeObject(tree.root, "gone", version("gone", 1n), 0, tree.beginObservation());
  tree.addFile(tree.root, "new", owner);
  const folder = tree.addDirectory(tree.root, "folder");
  tree.addFile(folder, "unsaved", owner);
  tree.observeComplete(tree.root, new Set(), 0, 0, tree.beginObservation());
  t.deepEqual([...tree.root.children.keys()], ["new", "folder"]);
});

test("the kernel is told whenever a folder has another number of links than it may remember", (t) => {
  const { tree, events } = newTree();
  const told = () => events.splice(0);
  const above = tree.addDirectory(tree.root, "above");
  const list = (...names: string[]) =>
    tree.observeComplete(above, new Set(names), 0, 0, tree.beginObservation());
  const observe = (name: string) => tree.observeDirectory(above, name, 0, 0, tree.beginObservation());
  list();
  t.deepEqual(told(), ["attributes above"], "listed for the first time");
  list();
  t.deepEqual(told(), [], "as before");
  observe("a");
  t.deepEqual(told(), ["attributes above"], "a folder appears");
  observe("a");
  list("a");
  t.deepEqual(told(), []);
  list();
  t.deepEqual(told(), ["attributes above"], "and is gone");
});

test("a folder and an object of one name: the folder has the name", (t) => {
  const { tree } = newTree();
  tree.observeObject(tree.root, "x", version("x", 1n), 0, tree.beginObservation());
  tree.observeDirectory(tree.root, "x", 0, 0, tree.beginObservation());
  tree.observeObject(tree.root, "x", version("x", 1n), 0, tree.beginObservation());
  t.is(tree.root.children.get("x")?.kind, "directory");
});

test("RULES 14: another metageneration changes attributes, not the inode, and the kernel is told", (t) => {
  const { tree, events } = newTree();
  tree.observeObject(tree.root, "a", version("a", 1n), 0, tree.beginObservation());
  const node = tree.root.children.get("a") as FileNode;
  node.lookupCount = 1;
  const patched = {
    ...version("a", 1n),
    metageneration: 2n,
    metadata: { "goog-reserved-posix-mode": "600" },
  };
  tree.observeObject(tree.root, "a", patched, 0, tree.beginObservation());
  t.is(tree.root.children.get("a"), node);
  t.is(node.mode, 0o600);
  t.deepEqual(events, ["attributes a"]);
  tree.observeObject(tree.root, "a", version("a", 1n), 0, tree.beginObservation());
  t.is(node.mode, 0o600, "an older metageneration is no news");
});
