// What a web server does with files: ranges, conditional requests, many small pictures. Items 14 and 15.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { request } from "./http.ts";
import { equal, holds, sameBytes, type Group } from "./step.ts";
import { picture } from "./uploads.ts";
import { addressOf, upload, view, viewWhole } from "./visitor.ts";

const MB = 1_000_000;

// What the network between a web server and a bucket in the same region may add, twice the usual.
const latencyMs = 50;

export const serving: Group = {
  name: "Serving",
  steps: [
    {
      id: "B.3-14",
      title: "a thousand bytes from the middle of 200 MB come without the other 200 MB",
      expected:
        "206, right bytes, first byte in under 10 s; at most 1 MB fetched for each, also when it has been quiet",
      run: middleOfALargeObject,
    },
    {
      id: "B.3-14",
      title: "a page of 50 thumbnails that nobody has looked at yet is quick",
      expected: `all 50 right, in under 20 s with ${latencyMs} ms to the bucket`,
      run: coldThumbnails,
    },
    {
      id: "B.3-15",
      title: "HEAD and conditional requests are answered as for a local file",
      expected: "HEAD 200 without a body, 304, 304, 200 when changed, If-Range 206 and 200",
      run: conditionalRequests,
    },
  ],
};

async function middleOfALargeObject(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const content = randomBytes(200 * MB);
  await bucket.write("film.pdf", content);

  const asked = [1_000_000, 150_000_000, 199_999_000].map((start) => ({ start, end: start + 999 }));
  let slowest = 0;
  const requests = await bucket.withLatency(latencyMs, () =>
    bucket.requestsDuring(async () => {
      for (const { start, end } of asked) {
        const answer = await view(stage, "film.pdf", { headers: { range: `bytes=${start}-${end}` } });
        equal("status", answer.status, 206);
        equal("Content-Range", answer.headers["content-range"], `bytes ${start}-${end}/${content.length}`);
        sameBytes(`bytes ${start}-${end}`, answer.body, content.subarray(start, end + 1));
        slowest = Math.max(slowest, answer.firstByteMs);
      }
      await sleep(3000); // nothing may go on fetching in the background
    }),
  );
  const fetched = requests.reduce((sum, { responseBytes }) => sum + responseBytes, 0);
  holds(slowest < 10_000, `the slowest first byte took ${Math.round(slowest)} ms`);
  holds(fetched <= MB * asked.length, `${fetched} bytes were fetched for ${asked.length} ranges`);

  const begin = performance.now();
  await viewWhole(addressOf(stage, "film.pdf"), content);
  const seconds = (performance.now() - begin) / 1000;
  await bucket.remove("film.pdf");
  return (
    `${asked.length} times 206, first byte after at most ${Math.round(slowest)} ms, ` +
    `${(fetched / MB).toFixed(1)} MB fetched in ${requests.length} requests; then all of it in ${seconds.toFixed(1)} s`
  );
}

async function coldThumbnails(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  const thumbnails = Array.from({ length: 50 }, (_, index) => ({
    name: `thumbs/${String(index).padStart(2, "0")}.jpg`,
    content: randomBytes(20_000 + index * 500),
  }));
  for (const { name, content } of thumbnails) await bucket.write(name, content, "image/jpeg");

  let elapsed = 0;
  const requests = await bucket.withLatency(latencyMs, () =>
    bucket.requestsDuring(async () => {
      const begin = performance.now();
      const waiting = [...thumbnails];
      // A browser opens six connections to a host.
      const connection = async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          await viewWhole(addressOf(stage, next.name), next.content);
        }
      };
      await Promise.all(Array.from({ length: 6 }, connection));
      elapsed = performance.now() - begin;
    }),
  );
  holds(elapsed < 20_000, `took ${(elapsed / 1000).toFixed(1)} s`);
  return `50 thumbnails in ${(elapsed / 1000).toFixed(2)} s, ${requests.length} requests to the bucket`;
}

async function conditionalRequests(stage: Stage): Promise<string> {
  const name = "conditional.png";
  const first = picture(40_000);
  const url = await upload(stage, name, first);
  const head = await request(url, { method: "HEAD" });
  equal("status of HEAD", head.status, 200);
  equal("body of HEAD", head.body.length, 0);
  equal("Content-Length of HEAD", head.headers["content-length"], String(first.length));
  const { etag = "", "last-modified": modified = "" } = head.headers;

  const ask = (headers: Record<string, string>) => request(url, { headers });
  equal("If-None-Match", (await ask({ "if-none-match": etag })).status, 304);
  equal("If-Modified-Since", (await ask({ "if-modified-since": modified })).status, 304);
  const range = { range: "bytes=100-199" };
  const part = await ask({ ...range, "if-range": etag });
  equal("If-Range with the ETag", part.status, 206);
  sameBytes("bytes 100-199", part.body, first.subarray(100, 200));
  equal("If-Range with the date", (await ask({ ...range, "if-range": modified })).status, 206);

  const second = picture(40_000); // as large, and within the same second
  await upload(stage, name, second);
  const changed = await ask({ "if-none-match": etag });
  equal("If-None-Match after a change", changed.status, 200);
  sameBytes("the changed file", changed.body, second);
  equal("If-Modified-Since after a change", (await ask({ "if-modified-since": modified })).status, 200);
  const whole = await ask({ ...range, "if-range": etag });
  equal("If-Range after a change", whole.status, 200);
  sameBytes("the whole changed file", whole.body, second);
  return "200, 304, 304, 206, 206; after a change of the same size 200, 200, 200 with the new bytes";
}
