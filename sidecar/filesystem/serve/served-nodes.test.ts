import test from "ava";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { Journal } from "../../handover/journal.ts";
import type { ObjectInfo } from "../../bucket/bucket.ts";
import { ROOT_INODE, type InodeId, type Kernel } from "../filesystem.ts";
import { isFile, type FileNode } from "../nodes.ts";
import { Tree } from "../tree.ts";
import { ServedNodes, type ServedVersion } from "./served-nodes.ts";

const owner = { uid: 0, gid: 0, mode: 0o644 };

function object(name: string, generation: bigint): ObjectInfo {
  return {
    name,
    generation,
    metageneration: 1n,
    size: 1,
    crc32c: 0,
    createdMs: 0,
    updatedMs: 0,
    contentType: undefined,
    contentEncoding: undefined,
    metadata: {},
  };
}

/** A tree and what is served of it, with a kernel that does what it is told when `answer` is called. */
function newServed() {
  const tree = new Tree({
    isBuried: () => false,
    prefix: "",
    hierarchical: false,
    fileDefaults: owner,
    journal: new Journal(),
    directoryDefaults: owner,
    trust: { freshnessMs: 60_000, soleWriter: false },
    monotonicMs: () => 0,
    wallNs: () => 0n,
    entryChanged: () => Promise.resolve(),
    placeChanged: (parent, name) => nodes.nameChanged(parent, name),
    attributesChanged: (node) => nodes.attributesChanged(node),
    replaced: () => undefined,
  });
  const forgotten: ServedVersion[] = [];
  const nodes = new ServedNodes(tree, new Journal(), (version) => forgotten.push(version));
  const told: string[] = [];
  let waiting: (() => void)[] = [];
  const kernel: Kernel = {
    shareFile: () => undefined,
    unshareFile: () => undefined,
    entryChanged: (parent, name) => {
      told.push(`${parent}/${name}`);
      return new Promise((resolve) => waiting.push(resolve));
    },
    attributesChanged: (inode) => {
      told.push(`attributes ${inode}`);
      return new Promise((resolve) => waiting.push(resolve));
    },
    canExpireNamesAtOnce: () => true,
  };
  nodes.attach(kernel);
  const answer = (): void => {
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  const file = (name: string, generation = 1n): FileNode => {
    const node = tree.addObject(tree.root, name, object(name, generation));
    if (!isFile(node)) throw new Error("no file");
    return node;
  };
  return { tree, nodes, told, forgotten, answer, file, root: nodes.directory(ROOT_INODE) };
}

test("a version keeps its number until the kernel has given back every look-up", (t) => {
  const { tree, nodes, forgotten, file, root } = newServed();
  const node = file("a");
  const first = nodes.giveOut(root, "a", node);
  t.is(nodes.giveOut(root, "a", node), first);
  nodes.forget(first.id, 1);
  t.is(nodes.get(first.id), first);
  nodes.forget(first.id, 1);
  t.deepEqual(forgotten, [first as ServedVersion]);
  t.throws(() => nodes.get(first.id), { message: /not known/ });
  t.not(nodes.giveOut(root, "a", node).id, first.id);
  t.true(tree.isAttached(node), "the tree has not lost it");
});

test("only names that were given out are taken back, each once, and who waits is told when the kernel knows", async (t) => {
  const { tree, nodes, told, answer, file, root } = newServed();
  const [asked, unknown] = [file("asked"), file("unknown")];
  nodes.giveOut(root, "asked", asked);
  tree.detach(unknown);
  await nodes.told(); // nothing to wait for
  tree.detach(asked);
  t.deepEqual(told, ["1/asked"]);
  let done = false;
  const waiting = nodes.told().then(() => (done = true));
  await Promise.resolve();
  t.false(done);
  answer();
  await waiting;
  t.true(done);
});

test("a newer version has another number, and the old one stays what it was for those who have it", (t) => {
  const { nodes, file, root } = newServed();
  const node = file("a", 1n);
  const old = nodes.giveOut(root, "a", node) as ServedVersion;
  t.is(nodes.leave(node), old);
  node.version = object("a", 2n);
  const fresh = nodes.giveOut(root, "a", node) as ServedVersion;
  t.not(fresh.id, old.id);
  t.is(old.version.generation, 1n);
  t.is(fresh.version.generation, 2n);
});

test("a renamed file is the same version under another name", (t) => {
  const { tree, nodes, told, file, root } = newServed();
  const node = file("a");
  const served = nodes.giveOut(root, "a", node) as ServedVersion;
  tree.confirmOwn(node, object("b", 9n), 0);
  tree.move(node, tree.root, "b");
  t.deepEqual(told, ["1/a"]);
  t.is(nodes.giveOut(root, "b", node), served);
  t.is(served.version.name, "b");
});

test("of very many versions the kernel is asked to let go of those nobody looked up for longest", async (t) => {
  const { nodes, told, answer, file, root } = newServed();
  const ids = new Map<string, InodeId>();
  let live = 0;
  let most = 0;
  for (let index = 0; index < 100_000; index += 1) {
    const name = `f${index}`;
    ids.set(name, nodes.giveOut(root, name, file(name)).id);
    nodes.giveOut(root, "f0", nodesOf(root, "f0")); // one that is looked up all the time
    live += 1;
    most = Math.max(most, live);
    // The kernel does as it is told, and forgets.
    for (const line of told.splice(0)) {
      const name = line.slice(2);
      nodes.forget(ids.get(name) as InodeId, name === "f0" ? Number.MAX_SAFE_INTEGER : 1);
      live -= 1;
    }
    answer();
    if (index % 100 === 0) await turnOfTheLoop();
  }
  t.true(most < 32_000, `${most} at once`);
  t.notThrows(() => nodes.get(ids.get("f0") as InodeId), "still looked up, so still there");
});

function nodesOf(root: ReturnType<ServedNodes["directory"]>, name: string): FileNode {
  const node = root.directory.children.get(name);
  if (!isFile(node)) throw new Error(`no ${name}`);
  return node;
}
