// What was acknowledged is there, whatever is killed: items 8 and 9, and X1.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { request } from "./http.ts";
import { equal, holds, sha256, type Group } from "./step.ts";
import { sendForm, upload, viewWhole } from "./visitor.ts";

export const persistence: Group = {
  name: "Persistence",
  steps: [
    {
      id: "X1",
      title:
        "an answered upload survives killing the mount, the app, nginx and the bucket server at that moment",
      expected: "the object with the same SHA-256, for 0 B, 10 kB, 3 MB and 20 MB",
      run: (stage) => killAfterAnswer(stage, "everything"),
    },
    {
      id: "X1",
      title: "an answered upload survives killing the mount alone",
      expected: "the object with the same SHA-256, for 0 B, 10 kB, 3 MB and 20 MB",
      run: (stage) => killAfterAnswer(stage, "mount"),
    },
    {
      id: "B.3-8",
      title: "a new machine on the same bucket serves every earlier address unchanged",
      expected: "200 with the same bytes, ETag and Last-Modified after the local state was destroyed",
      run: newMachine,
    },
    {
      id: "B.3-9",
      title: "a rollout and a rollback in the middle of uploads lose nothing that was acknowledged",
      expected: "every upload answered with 302 is served afterwards, whole",
      run: rollout,
    },
  ],
};

async function killAfterAnswer(stage: Stage, what: "everything" | "mount"): Promise<string> {
  const bucket = new BucketApi(stage);
  const hashes: string[] = [];
  for (const size of [0, 10_000, 3_000_000, 20_000_000]) {
    const content = randomBytes(size);
    const name = `before the crash ${size}, ${what}.pdf`;
    const location = await upload(stage, name, content);
    if (what === "everything") {
      await stage.killEverything();
      await stage.startAgain(["bucket"]);
    } else await stage.killMount();
    // Nothing but the bucket is there now: what it holds does not come from anywhere else.
    await bucket.mustHold(name, content);
    hashes.push(sha256(content).slice(0, 8));
    await stage.startAgain(["mount"]);
    if (what === "everything") await stage.startAgain(["app", "web"]);
    await viewWhole(location, content);
  }
  return `SHA-256 ${hashes.join("…, ")}… in the bucket and served again`;
}

async function newMachine(stage: Stage): Promise<string> {
  const before = [];
  for (const [index, size] of [0, 1, 4096, 100_000, 5_000_000].entries()) {
    const content = randomBytes(size);
    const url = await upload(stage, `address ${index} über.pdf`, content);
    const { headers } = await viewWhole(url, content);
    before.push({ url, content, etag: headers.etag, modified: headers["last-modified"] });
  }
  await sleep(1100); // another second on the clock: times that are made up anew would differ
  await stage.killEverything();
  await stage.wipeState();
  await stage.startAgain(["bucket"]);
  await stage.startAgain(["mount"]);
  await stage.startAgain(["app", "web"]);
  for (const { url, content, etag, modified } of before) {
    const { headers } = await viewWhole(url, content);
    equal(`ETag of ${url}`, headers.etag, etag);
    equal(`Last-Modified of ${url}`, headers["last-modified"], modified);
  }
  return `${before.length} addresses: same bytes, ETag and Last-Modified`;
}

async function rollout(stage: Stage): Promise<string> {
  const acknowledged: { url: string; content: Buffer }[] = [];
  let unanswered = 0;
  for (const way of ["forward", "back"]) {
    let replacing = true;
    const visitors = [0, 1, 2].map(async (visitor) => {
      for (let count = 0; replacing; count += 1) {
        const content = randomBytes(Math.floor(Math.random() * 400_000));
        const name = `rollout ${way} ${visitor} ${count}.jpg`;
        // While nothing is up, no answer is the right answer; a 302 is a promise.
        const answer = await sendForm(stage, name, content).catch(() => undefined);
        if (answer?.status === 302) acknowledged.push({ url: answer.headers.location ?? "", content });
        else unanswered += 1;
        if (!answer) await sleep(50);
      }
    });
    await sleep(1000);
    // The old container is removed without being asked, then the new one starts; the bucket is elsewhere.
    await Promise.all([stage.killMount(), stage.service("app").kill(), stage.service("web").kill()]);
    if (way === "forward") await stage.wipeState(); // another machine takes over
    await stage.startAgain(["mount"]);
    await stage.startAgain(["app", "web"]);
    await sleep(500);
    replacing = false;
    await Promise.all(visitors);
  }
  holds(unanswered > 0, "no upload was interrupted, so nothing was tried");
  holds(acknowledged.length > 10, `only ${acknowledged.length} uploads were acknowledged`);
  for (const { url, content } of acknowledged) await viewWhole(url, content);
  equal("front page", (await request(`${stage.publicUrl}/`)).status, 200);
  return `${acknowledged.length} acknowledged uploads served, ${unanswered} were interrupted or refused`;
}
