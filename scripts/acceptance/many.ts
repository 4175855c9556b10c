// Two hundred uploads as people make them, and a bucket that holds exactly what was meant to be there.

import { randomBytes, randomInt } from "node:crypto";
import { readdir } from "node:fs/promises";
import { BucketApi } from "./bucket-api.ts";
import { equal, holds, type Group } from "./step.ts";
import { sendForm, viewWhole } from "./visitor.ts";
import type { Stage } from "./stage.ts";

const count = 200;
const largest = 20_000_000;

// What people have in names, beside letters and digits. Some of these signs are several characters joined.
const signs =
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" +
  `      ''""##??%%++&&=;,!@$()[]{}~^\`|<>:*._-` +
  "äöüßéèñçøåÆłжщыяπΩשלוםمرحبا写真東京한국어🦆👩‍💻e\u0301";
const alphabet = Array.from(new Intl.Segmenter().segment(signs), ({ segment }) => segment);

export const many: Group = {
  name: "Many uploads",
  steps: [
    {
      id: "200 uploads",
      title: "200 uploads of any size and name are each served by nginx at once, and the bucket holds them",
      expected: "none missing, short or different; objects identical",
      run: manyUploads,
    },
    {
      id: "X15",
      title: "nothing but files is left in the bucket",
      expected: "every object is seen through the mount; no temporary or conflict copy",
      run: nothingElse,
    },
  ],
};

function randomName(index: number): string {
  const extension = ["txt", "pdf", "png", "jpg", "jpeg", "gif", "PNG"][randomInt(7)];
  let stem = `n${index} `;
  // A name has 255 bytes at most, and one of these signs up to 11.
  for (let length = randomInt(1, 40); length > 0 && Buffer.byteLength(stem) < 235; length -= 1) {
    stem += alphabet[randomInt(alphabet.length)];
  }
  return `${stem}.${extension}`;
}

/** As many between 1 and 10 bytes as between 1 and 10 MB; some empty, one as large as may be. */
function randomSize(index: number): number {
  if (index === 0) return largest;
  if (index % 25 === 1) return 0;
  return Math.floor(Math.exp(Math.random() * Math.log(largest)));
}

async function manyUploads(stage: Stage): Promise<string> {
  const bucket = new BucketApi(stage);
  let bytes = 0;
  const upload = async (index: number) => {
    const name = randomName(index);
    const content = randomBytes(randomSize(index));
    const answer = await sendForm(stage, name, content);
    equal(`status of the upload of ${name}`, answer.status, 302);
    const location = answer.headers.location ?? "";
    equal("Location", decodeURIComponent(location), `${stage.publicUrl}/uploads/${name}`);
    await viewWhole(location, content);
    await bucket.mustHold(name, content);
    bytes += content.length;
  };
  const indices = Array.from({ length: count }, (_, index) => index);
  const visitor = async () => {
    for (let index = indices.shift(); index !== undefined; index = indices.shift()) await upload(index);
  };
  await Promise.all([visitor(), visitor(), visitor()]);
  const found = (await bucket.list("n")).filter(({ name }) => /^n\d+ /.test(name));
  equal("objects", found.length, count);
  return `${count} uploads, ${Math.round(bytes / 1e6)} MB: all served whole and identical in the bucket`;
}

async function nothingElse(stage: Stage): Promise<string> {
  const files = await walk(stage);
  const objects = (await new BucketApi(stage).list()).map(({ name }) => name);
  const unseen = objects.filter((name) => !name.endsWith("/") && !files.has(name));
  equal("objects that are not files", unseen.join(" "), "");
  const odd = objects.filter((name) =>
    /(^|\/)\.|\.tmp|\.conflict-|~$|\.part/i.test(name.replace(/^n\d+ .*$/, "")),
  );
  equal("temporary objects", odd.join(" "), "");
  holds(objects.length > 0, "the bucket is empty");
  return `${objects.length} objects, all of them files or folders`;
}

/** Every file as a fresh mount shows it. */
async function walk(stage: Stage): Promise<Set<string>> {
  const extra = await stage.mountAgain();
  try {
    const entries = await readdir(extra.directory, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(extra.directory.length + 1));
    return new Set(files);
  } finally {
    await extra.close();
  }
}
