import test, { type ExecutionContext } from "ava";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run, startServer } from "./server.ts";

async function session(t: ExecutionContext) {
  const { url, scratch } = await startServer(t);
  const configuration = join(scratch, "rclone.conf");
  await writeFile(configuration, "");
  const always =
    `--config ${configuration} --gcs-endpoint ${url}/storage/v1/ --gcs-anonymous --gcs-bucket-policy-only ` +
    "--gcs-project-number 1 --retries 1 --low-level-retries 1";
  const rclone = async (...words: string[]) =>
    (await run("rclone", [...words, ...always.split(" ")])).toString("utf8");
  const source = join(scratch, "source");
  const write = async (name: string, bytes: string | Buffer) => {
    await mkdir(dirname(join(source, name)), { recursive: true });
    await writeFile(join(source, name), bytes);
  };
  /** How many objects were inserted so far, in however many requests. */
  const inserts = async () => {
    const answer = await fetch(`${url}/admin/requests`);
    const requests = (await answer.json()) as { method: string }[];
    return requests.filter(({ method }) => method === "storage.objects.insert").length;
  };
  return { rclone, source, scratch, write, inserts };
}

test("rclone copies a tree there and back, and finds no difference", async (t) => {
  const { rclone, source, scratch, write } = await session(t);
  await write("a.txt", "hello");
  await write("empty", "");
  await write("deep/er/ü & 100%+1.txt", "umlaut");
  await rclone("copy", source, ":gcs:bkt/tree");
  await rclone("check", source, ":gcs:bkt/tree", "--download");
  await rclone("check", source, ":gcs:bkt/tree");
  await rclone("copy", ":gcs:bkt/tree", join(scratch, "back"));
  t.is(await readFile(join(scratch, "back", "deep/er/ü & 100%+1.txt"), "utf8"), "umlaut");
  t.is(
    await rclone("lsf", "-R", "--files-only", ":gcs:bkt"),
    "tree/a.txt\ntree/deep/er/ü & 100%+1.txt\ntree/empty\n",
  );
  t.is(await rclone("lsf", ":gcs:bkt/tree"), "a.txt\ndeep/\nempty\n");
});

test("rclone uploads a large file in chunks and reads it from any offset", async (t) => {
  const { rclone, source, write } = await session(t);
  const bytes = randomBytes(20_000_000);
  await write("big", bytes);
  await rclone("copy", source, ":gcs:bkt");
  await rclone("check", source, ":gcs:bkt");
  const part = await rclone("cat", "--offset", "17000000", "--count", "10", ":gcs:bkt/big");
  t.is(part, bytes.subarray(17_000_000, 17_000_010).toString("utf8"));
});

test("rclone keeps modification times, so that a second sync transfers nothing", async (t) => {
  const { rclone, source, write, inserts } = await session(t);
  await write("a", "1");
  await write("b", "2");
  await rclone("sync", source, ":gcs:bkt/s");
  t.is(await inserts(), 2);
  await rclone("sync", source, ":gcs:bkt/s");
  t.is(await inserts(), 2);
  await rm(join(source, "a"));
  await write("b", "22");
  await rclone("sync", source, ":gcs:bkt/s");
  t.is(await rclone("lsf", ":gcs:bkt/s"), "b\n");
  t.is(await rclone("cat", ":gcs:bkt/s/b"), "22");
});

test("rclone hashes, moves, copies within the bucket and deletes", async (t) => {
  const { rclone, source, write } = await session(t);
  await write("a", "hello");
  await rclone("copy", source, ":gcs:bkt");
  t.is(await rclone("md5sum", ":gcs:bkt"), "5d41402abc4b2a76b9719d911017c592  a\n");
  await rclone("moveto", ":gcs:bkt/a", ":gcs:bkt/dir/b");
  await rclone("copyto", ":gcs:bkt/dir/b", ":gcs:bkt/dir/c");
  t.is(await rclone("lsf", "-R", "--files-only", ":gcs:bkt"), "dir/b\ndir/c\n");
  await rclone("delete", ":gcs:bkt/dir");
  t.is(await rclone("lsf", "-R", ":gcs:bkt"), "");
  await rclone("mkdir", ":gcs:another");
  t.is(
    await rclone("lsd", "--gcs-project-number", "1", ":gcs:").then((text) => text.includes("another")),
    true,
  );
  await rclone("rmdir", ":gcs:another");
});
