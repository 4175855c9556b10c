// Two writers and two readers of one name, each on its own side of the bucket.

import { createHash, randomBytes, randomInt } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { equal, holds, Unmet, type Group } from "./step.ts";
import { sendForm, view } from "./visitor.ts";

const name = "contested.txt";
const overwrites = 500;
const largest = 200_000;

export const overwriting: Group = {
  name: "Overwriting",
  steps: [
    {
      id: "500 times",
      title: "two clients overwrite one name 500 times, and every reader gets one whole version",
      expected:
        "every answer of nginx, on a second mount and through the API is a version that was written, whole",
      run: contest,
    },
  ],
};

/** Says by itself who wrote it, which one it is, and whether it is whole. */
function version(writer: string, number: number): Buffer {
  const body = Buffer.concat([Buffer.from(`${writer} ${number}\n`), randomBytes(randomInt(largest))]);
  return Buffer.concat([body, createHash("sha256").update(body).digest()]);
}

function whichOf(bytes: Buffer): string {
  const body = bytes.subarray(0, Math.max(0, bytes.length - 32));
  const intact = createHash("sha256").update(body).digest().equals(bytes.subarray(body.length));
  holds(intact, `${bytes.length} bytes that are no version anybody wrote`);
  return body.subarray(0, body.indexOf("\n")).toString();
}

async function contest(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  await bucket.write(name, version("first", 0));
  // One client uses the app; the other is on a machine of its own. So is the reader: on the mount of a writer one
  // sees the file being written, as on a local disk.
  const writerMount = await stage.mountAgain();
  const readerMount = await stage.mountAgain();
  let done = false;
  const seen = { nginx: new Set<string>(), mount: new Set<string>(), api: new Set<string>() };
  const answers = { nginx: 0, mount: 0, api: 0 };
  const last: Buffer[] = [];
  try {
    const throughApp = async () => {
      for (let number = 1; number <= overwrites / 2; number += 1) {
        const content = version("app", number);
        const { status } = await sendForm(stage, name, content);
        if (status !== 302) throw new Unmet(`upload ${number} was answered ${status}`);
        last[0] = content;
      }
    };
    const throughMount = async () => {
      for (let number = 1; number <= overwrites / 2; number += 1) {
        const content = version("mount", number);
        await writeFile(join(writerMount.directory, name), content);
        last[1] = content;
      }
    };
    const read = async (side: keyof typeof answers, once: () => Promise<Buffer>) => {
      while (!done) {
        seen[side].add(whichOf(await once()));
        answers[side] += 1;
        await sleep(1);
      }
    };
    const readers = [
      read("nginx", async () => (await view(stage, name)).body),
      read("mount", () => readFile(join(readerMount.directory, name))),
      read("api", () => bucket.read(name)),
    ];
    const writers = Promise.all([throughApp(), throughMount()]);
    await Promise.race([writers, ...readers]).finally(() => (done = true));
    await Promise.all([writers, ...readers]);

    const final = await bucket.read(name);
    holds(
      last.some((each) => each.equals(final)),
      `the bucket ends with ${whichOf(final)}`,
    );
    const { generation } = (await bucket.facts(name))!;
    equal("readable at the end", whichOf(await readFile(join(readerMount.directory, name))).length > 0, true);
    return (
      `${overwrites} overwrites, generation ${generation}; ${answers.nginx} answers of nginx with ${seen.nginx.size} ` +
      `versions, ${answers.mount} on the mount with ${seen.mount.size}, ${answers.api} through the API with ` +
      `${seen.api.size}; all whole`
    );
  } finally {
    done = true;
    await Promise.all([writerMount.close(), readerMount.close()]);
  }
}
