// Others change the bucket while it is mounted: item 7 of the list, and X7, X8, X12.

import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BucketApi } from "./bucket-api.ts";
import { request } from "./http.ts";
import { run } from "./programs.ts";
import { equal, holds, sameBytes, Unmet, within, type Group } from "./step.ts";
import { picture } from "./uploads.ts";
import { addressOf, upload, view, viewWhole } from "./visitor.ts";
import type { Stage } from "./stage.ts";

// A version is trusted for a tenth of its age, at most 60 s.
const trustedMs = (ageMs: number) => Math.min(60_000, ageMs / 10);

// Sending a request and answering it on a busy machine.
const slackMs = 500;

const faces = (stage: Stage, name: string) => [
  { face: "nginx", url: addressOf(stage, name) },
  { face: "the app", url: `${stage.appUrl}/uploads/${encodeURIComponent(name)}` },
];

export const changes: Group = {
  name: "Changes from elsewhere",
  steps: [
    {
      id: "B.3-7",
      title: "folders that exist only because objects lie below them are there",
      expected: "200 for albums/1.png and a/b/c/2.png, put there by the API without any folder",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const names = ["albums/1.png", "a/b/c/2.png"];
        for (const name of names) {
          const content = picture(10_000);
          await bucket.write(name, content, "image/png");
          await viewWhole(addressOf(stage, name), content);
        }
        holds((await readdir(join(stage.uploads, "a", "b"))).includes("c"), "a/b does not list c");
        return "200 and 200; a/b lists c";
      },
    },
    {
      id: "X7",
      title: "an object replaced from elsewhere is served new and whole within the documented time",
      expected: "larger, smaller and as large: within a tenth of its age; nothing mixed; another ETag",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const late: string[] = [];
        const sizes = [
          [5000, 200_000],
          [200_000, 5000],
          [5000, 5000],
          [3_000_000, 3_000_000],
        ] as const;
        for (const [sizeBefore, size] of sizes) {
          const name = `${sizeBefore} becomes ${size}.png`;
          const old = randomBytes(sizeBefore);
          await bucket.write(name, old);
          const created = performance.now();
          const tags = await Promise.all(
            faces(stage, name).map(async ({ url }) => (await viewWhole(url, old)).headers.etag),
          );
          await sleep(2000); // so that there is a time for which it is trusted
          for (const { url } of faces(stage, name)) await viewWhole(url, old);
          const fresh = randomBytes(size);
          await bucket.write(name, fresh);
          const replaced = performance.now();
          const limit = trustedMs(replaced - created) + slackMs;
          for (const [at, { face, url }] of faces(stage, name).entries()) {
            const tag = await turnsNew(url, old, fresh, limit);
            holds(tag !== tags[at], `${face}: the ETag is still ${tag}`);
            late.push(`${Math.round(performance.now() - replaced)} ms`);
          }
        }
        return `new after ${late.join(", ")}`;
      },
    },
    {
      id: "X7",
      title: "a reader never gets a mixture while an object is replaced again and again",
      expected: "every answer of nginx is one whole version, through 40 replacements",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const name = "often replaced.gif";
        const versions = new Map<string, true>();
        const next = async () => {
          const content = randomBytes(Math.floor(1000 + Math.random() * 2_000_000));
          versions.set(content.toString("latin1"), true);
          await bucket.write(name, content);
        };
        await next();
        let done = false;
        let answers = 0;
        const reading = (async () => {
          while (!done) {
            const answer = await view(stage, name);
            equal("status", answer.status, 200);
            holds(versions.has(answer.body.toString("latin1")), `a mixture of ${answer.body.length} bytes`);
            answers += 1;
          }
        })();
        const replacing = (async () => {
          for (let count = 0; count < 40; count += 1) {
            await next();
            await sleep(40);
          }
        })();
        await Promise.race([reading, replacing]).finally(() => (done = true));
        await Promise.all([reading, replacing]);
        return `${answers} answers, all whole`;
      },
    },
    {
      id: "X8",
      title: "an object created elsewhere is there at once although its name was asked for before",
      expected: "404, then 200 with the first request after it was created",
      async run(stage) {
        const bucket = new BucketApi(stage);
        for (let round = 0; round < 5; round += 1) {
          const name = `appears ${round}.txt`;
          for (const { face, url } of faces(stage, name)) equal(face, (await request(url)).status, 404);
          const content = randomBytes(1234);
          await bucket.write(name, content);
          for (const { url } of faces(stage, name)) await viewWhole(url, content);
        }
        return "5 times 404, then 200 at once, by nginx and the app";
      },
    },
    {
      id: "X8",
      title: "an object deleted elsewhere is gone within the documented time",
      expected: "404 within a tenth of its age",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const name = "disappears.txt";
        await bucket.write(name, Buffer.from("soon gone"));
        const created = performance.now();
        await sleep(2000);
        for (const { url } of faces(stage, name)) equal("before", (await request(url)).status, 200);
        await bucket.remove(name);
        const deleted = performance.now();
        const limit = trustedMs(deleted - created) + slackMs;
        for (const { face, url } of faces(stage, name)) {
          const gone = await within(limit, async () => {
            const { status } = await request(url);
            if (status === 200) return undefined;
            equal(`status from ${face}`, status, 404);
            return status;
          });
          holds(gone === 404, `${face} still serves it after ${Math.round(limit)} ms`);
        }
        return `404 after at most ${Math.round(performance.now() - deleted)} ms`;
      },
    },
    {
      id: "X8",
      title: "a name that was not there is there at once when it is uploaded here",
      expected: "404, upload, 200; ten times",
      async run(stage) {
        for (let round = 0; round < 10; round += 1) {
          const name = `not yet ${round}.png`;
          equal("before the upload", (await view(stage, name)).status, 404);
          const content = picture(3000 + round);
          await viewWhole(await upload(stage, name, content), content);
        }
        return "ten times 404, then 200";
      },
    },
    {
      id: "X12",
      title: "names a folder cannot have do not disturb the others",
      expected: "listing and serving of all other names go on; no error",
      run: strangeNames,
    },
  ],
};

/** Asks until the new bytes come. Until then only the old ones may, and afterwards never again. */
async function turnsNew(
  url: string,
  old: Buffer,
  fresh: Buffer,
  limitMs: number,
): Promise<string | undefined> {
  const tag = await within(limitMs, async () => {
    const answer = await request(url);
    equal("status", answer.status, 200);
    if (answer.body.equals(fresh)) return answer.headers.etag ?? "";
    sameBytes("a version that is neither", answer.body, old);
    return undefined;
  });
  if (tag === undefined) throw new Unmet(`${url} still had the old version after ${Math.round(limitMs)} ms`);
  for (let again = 0; again < 3; again += 1) await viewWhole(url, fresh);
  return tag;
}

// Names that other tools make and that no folder can show, beside names that it must.
const strange = [
  "odd/a//b.txt",
  "odd//lead.txt",
  "odd/../up.txt",
  "odd/./dot.txt",
  `odd/${"n".repeat(1020)}`,
];
const longPath = `${["odd", ...Array.from({ length: 5 }, () => "d".repeat(199))].join("/")}/${"f".repeat(1024 - 4 - 5 * 200)}`;
const regular = ["odd/plain.txt", "odd/caf\u00e9.txt", "odd/cafe\u0301.txt", "odd/x/y.txt", longPath];

async function strangeNames(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  equal("bytes of the longest name", Buffer.byteLength(longPath), 1024);
  const refused: string[] = [];
  for (const name of [...strange, "odd/x", "odd/empty folder/"]) {
    await bucket.write(name, Buffer.from(`content of ${name}`)).catch(() => refused.push(name));
  }
  for (const name of regular) await bucket.write(name, Buffer.from(`content of ${name}`));

  const folder = join(stage.uploads, "odd");
  const listed = await readdir(folder);
  equal("listed twice", new Set(listed).size, listed.length);
  for (const name of ["plain.txt", "caf\u00e9.txt", "cafe\u0301.txt", "x", "empty folder"]) {
    holds(listed.includes(name), `${JSON.stringify(name)} is not listed`);
  }
  for (const name of listed) holds(!["", ".", ".."].includes(name), `${JSON.stringify(name)} is listed`);
  equal("entries of an empty folder", (await readdir(join(folder, "empty folder"))).length, 0);

  const walked = await run(["find", folder, "-printf", "%y %P\\n"]);
  equal(`find: ${walked.stderr}`, walked.status, 0);
  for (const name of regular) {
    const content = Buffer.from(`content of ${name}`);
    sameBytes(name, await readFile(join(stage.uploads, name)), content);
    await viewWhole(addressOf(stage, name), content);
  }
  equal("front page", (await request(`${stage.publicUrl}/`)).status, 200);
  for (const name of await bucket.list("odd")) await bucket.remove(name.name);
  return `${regular.length} names served; listed: ${listed.map((name) => JSON.stringify(name.slice(0, 20))).join(" ")}${refused.length > 0 ? `; the bucket refused ${refused.length}` : ""}`;
}
