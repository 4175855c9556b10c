// Folders with hundreds of thousands of names: listed in little memory, and stable while entries come and go.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { BUCKET, type BucketServer } from "../helpers/bucket-server.ts";
import { mounted, python, SETTINGS, type Mount } from "../helpers/mounted.ts";

const COUNT = 300_000;
const MIB = 1 << 20;
const nameOf = (number: number): string => `crowded/image-${String(number).padStart(7, "0")}.jpg`;

/** The list call of a bucket with very many objects, which are made up as they are asked for. */
async function crowdedBucket(
  t: ExecutionContext,
  count: number,
): Promise<{ server: BucketServer; lists: () => number }> {
  let lists = 0;
  const made = { metageneration: "1", size: "1", crc32c: "AAAAAA==", generation: "1" };
  const time = new Date(Date.now() - 1000).toISOString(); // young: nothing of it is trusted for long
  const http = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const answer = (body: unknown): void => void response.end(JSON.stringify(body));
    response.setHeader("content-type", "application/json");
    if (url.pathname.endsWith("/storageLayout")) return answer({ bucket: BUCKET, location: "US" });
    if (!url.pathname.endsWith("/o")) return void response.writeHead(404).end("{}");
    lists += 1;
    const ask = (key: string): string => url.searchParams.get(key) ?? "";
    const size = Number(ask("maxResults") || "1000");
    const start = ask("pageToken") === "" ? firstFrom(ask("startOffset"), count) : Number(ask("pageToken"));
    const end = ask("endOffset") === "" ? count : firstFrom(ask("endOffset"), count);
    const last = Math.min(start + size, end);
    const numbers = Array.from({ length: Math.max(0, last - start) }, (_, i) => start + i);
    const below = "crowded/".startsWith(ask("prefix")) || ask("prefix") === "crowded/";
    const atRoot = below && ask("prefix") === "" && ask("delimiter") === "/";
    answer({
      ...(atRoot ? { prefixes: ["crowded/"] } : {}),
      items:
        below && !atRoot
          ? numbers.map((number) => ({ ...made, name: nameOf(number), timeCreated: time, updated: time }))
          : [],
      ...(below && !atRoot && last < end ? { nextPageToken: String(last) } : {}),
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return { server: { url } as BucketServer, lists: () => lists };
}

function firstFrom(name: string, count: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (nameOf(middle) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function crowded(
  t: ExecutionContext,
  options: readonly string[],
): Promise<{ mount: Mount; lists: () => number }> {
  const { server, lists } = await crowdedBucket(t, COUNT);
  return { mount: await mounted(t, server, options), lists };
}

for (const { name, options } of SETTINGS) {
  test.serial(
    `${name}: a folder of ${COUNT} names is listed page by page, each name once, in bounded memory`,
    async (t) => {
      const { mount, lists } = await crowded(t, options);
      const before = await mount.memory();
      const said = await python(
        mount,
        `import os
names = 0; last = ""; distinct = set()
with os.scandir("crowded") as entries:
    for entry in entries: names += 1; distinct.add(hash(entry.name)); assert entry.is_file()
print(names, len(distinct))`,
      );
      t.is(said, `${COUNT} ${COUNT}\n`);
      const { peak } = await mount.memory();
      const grownMib = Math.round((peak - before.now) / MIB);
      t.log(`${lists()} lists, ${grownMib} MiB more at most`);
      t.true(lists() <= COUNT / 1000 + 5, `${lists()} lists`);
      // libfuse 2 wants a listing as a whole: docs/CHANNELS.md
      t.true(grownMib < (name === "native" ? 400 : 250), `${grownMib} MiB`);
    },
  );
}

test.serial(
  "telldir and seekdir go back to any place of a long listing, whatever happened since",
  async (t) => {
    const { mount } = await crowded(t, []);
    const said = await python(
      mount,
      `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_ushort), ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
libc.opendir.restype = ctypes.c_void_p; libc.readdir.restype = ctypes.POINTER(dirent); libc.telldir.restype = ctypes.c_long
libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]; libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
folder = libc.opendir(b"crowded")
places = []
while True:
    place = libc.telldir(folder); entry = libc.readdir(folder)
    if not entry: break
    places.append((place, entry.contents.name))
for at in (2, 60000, 70001, ${COUNT}, ${COUNT} + 1, 5):
    libc.seekdir(folder, places[at][0])
    assert libc.readdir(folder).contents.name == places[at][1], at
libc.closedir(folder)
print(len(places))`,
    );
    t.is(said, `${COUNT + 2}\n`);
  },
);
