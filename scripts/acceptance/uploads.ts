// Uploading and looking at what was uploaded: items 1 to 6 of the list for the retrofit document.

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { appUser } from "../demo/place.ts";
import type { Stage } from "./stage.ts";
import { BucketApi } from "./bucket-api.ts";
import { fileForm, request } from "./http.ts";
import { run } from "./programs.ts";
import { equal, holds, sha256, within, type Group } from "./step.ts";
import { addressOf, sendForm, upload, view, viewWhole } from "./visitor.ts";

const MB = 1_000_000;
const MiB = 1_048_576;

// nginx makes its ETag of modification time and size; the app makes another one. So this one tells who answered.
const nginxTag = /^"[0-9a-f]+-[0-9a-f]+"$/;

/** Bytes that begin as a PNG does. */
export function picture(bytes: number): Buffer {
  const signature = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex").subarray(0, bytes);
  return Buffer.concat([signature, randomBytes(bytes - signature.length)]);
}

export const uploads: Group = {
  name: "Uploads",
  steps: [
    {
      id: "B.3-1",
      title: "the front page comes through the web server and has the form",
      expected: "200 with a form and its field file",
      async run(stage) {
        const answer = await request(`${stage.publicUrl}/`);
        equal("status", answer.status, 200);
        equal("Server", answer.headers.server, "nginx");
        const page = answer.body.toString();
        holds(/<form[^>]+method="post"/.test(page), "no form");
        holds(/type="file" name="file"/.test(page), "no field file");
        return `200, ${answer.body.length} bytes with the form`;
      },
    },
    {
      id: "B.3-1",
      title: "an upload is answered with its address on the public host and is there at once, from nginx",
      expected: "302, then 200 with 230720 identical bytes from nginx; the same object in the bucket",
      async run(stage) {
        const content = picture(230_720);
        const location = await upload(stage, "Space_Duck.png", content);
        equal("Location", location, `${stage.publicUrl}/uploads/Space_Duck.png`);
        const answer = await viewWhole(location, content);
        equal("Server", answer.headers.server, "nginx");
        holds(nginxTag.test(answer.headers.etag ?? ""), `ETag ${answer.headers.etag} is not nginx's own`);
        equal("Content-Type", answer.headers["content-type"], "image/png");
        const facts = await new BucketApi(stage).mustHold("Space_Duck.png", content);
        return `302, 200, 230720 bytes identical, generation ${facts.generation}`;
      },
    },
    {
      id: "B.3-1",
      title: "an empty file is uploaded and served as an empty file",
      expected: "302, then 200 with 0 bytes; an object of 0 bytes",
      async run(stage) {
        const location = await upload(stage, "empty.txt", Buffer.alloc(0));
        await viewWhole(location, Buffer.alloc(0));
        await new BucketApi(stage).mustHold("empty.txt", Buffer.alloc(0));
        return "302, 200, 0 bytes in both";
      },
    },
    {
      id: "B.3-2",
      title: "the app's own route serves the same bytes",
      expected: "200 from gunicorn, identical",
      async run(stage) {
        const content = picture(300_001);
        await upload(stage, "own route.png", content);
        const answer = await viewWhole(`${stage.appUrl}/uploads/own%20route.png`, content);
        equal("Server", answer.headers.server, "gunicorn");
        return "200 from gunicorn, 300001 bytes identical";
      },
    },
    {
      id: "B.3-3",
      title: "20 MB are accepted, 21 MB are refused and leave nothing",
      expected: "302 for 20 MB and for 20 MiB; 413 and no object for 21 MB",
      async run(stage) {
        const bucket = new BucketApi(stage);
        for (const [name, size] of Object.entries({ "20 MB.pdf": 20 * MB, "20 MiB.pdf": 20 * MiB })) {
          const content = randomBytes(size);
          await viewWhole(await upload(stage, name, content), content);
          await bucket.mustHold(name, content);
        }
        equal("status for 21 MB", (await sendForm(stage, "21 MB.pdf", randomBytes(21 * MB))).status, 413);
        equal("object of the refused upload", await bucket.facts("21 MB.pdf"), undefined);
        return "302, 302, 413; nothing left of the refused one";
      },
    },
    {
      id: "B.3-4, X9",
      title: "the app's user, nginx's user and root all see a file, and see nothing without allow_other",
      expected: `identical for user ${appUser}, www-data and root; with --no-allow-other EACCES for the first two`,
      async run(stage) {
        const content = picture(50_000);
        await upload(stage, "for all.png", content);
        await seenBy(stage, join(stage.uploads, "for all.png"), content);

        const closed = await stage.mountAgain(["--no-allow-other"]);
        try {
          const file = join(closed.directory, "for all.png");
          equal("root, who mounted", sha256(await readFile(file)), sha256(content));
          for (const user of [String(appUser), "www-data"]) {
            const { status, stderr } = await run(["cat", file], { user });
            holds(status !== 0 && /Permission denied/.test(stderr), `${user} got status ${status} ${stderr}`);
          }
          const web = await stage.serve(closed.directory);
          try {
            equal(
              "nginx without allow_other",
              (await request(`${web.url}/uploads/for%20all.png`)).status,
              403,
            );
          } finally {
            await web.close();
          }
        } finally {
          await closed.close();
        }
        return "all three read it; without allow_other two are refused and nginx answers 403";
      },
    },
    {
      id: "X9",
      title: "owner and modes of objects from elsewhere are what the options say",
      expected: "1234:5678, 0640 for files, 0750 for folders",
      async run(stage) {
        await new BucketApi(stage).write("owned/by others.txt", Buffer.from("x"));
        const flags = ["--uid", "1234", "--gid", "5678", "--file-mode", "0640", "--dir-mode", "0750"];
        const extra = await stage.mountAgain(flags);
        try {
          const { stdout } = await run(["stat", "-c", "%u:%g %a", "owned", "owned/by others.txt"], {
            cwd: extra.directory,
          });
          equal("stat", stdout.trim(), "1234:5678 750\n1234:5678 640");
          return stdout.trim().replace("\n", ", ");
        } finally {
          await extra.close();
        }
      },
    },
    {
      id: "B.3-5",
      title: "another extension and a form without a file are refused with the form, and write nothing",
      expected: "200 with the form; 400 with the form (other apps of this shape: 500); no object",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const before = (await bucket.list()).length;
        const wrong = await sendForm(stage, "program.exe", Buffer.from("MZ"));
        equal("status for program.exe", wrong.status, 200);
        holds(wrong.body.includes("<form"), "no form for program.exe");
        const none = await request(`${stage.publicUrl}/`, fileForm("other", "a.txt", Buffer.from("a")));
        equal("status without the field", none.status, 400);
        holds(none.body.includes("<form"), "no form without the field");
        equal("number of objects", (await bucket.list()).length, before);
        return "200 and 400, both with the form; no object";
      },
    },
    {
      id: "B.3-6",
      title:
        "the same name again replaces the file, longer or shorter, and nginx serves exactly the new bytes",
      expected: "new bytes and a new ETag at once, each time; one object with the last content",
      async run(stage) {
        const sizes = [100_000, 3_000_000, 1000, 1000, 0, 700_000];
        const tags = new Set<string>();
        let content = Buffer.alloc(0);
        for (const size of sizes) {
          content = randomBytes(size);
          const answer = await viewWhole(await upload(stage, "again.gif", content), content);
          tags.add(answer.headers.etag ?? "");
        }
        equal("different ETags", tags.size, sizes.length);
        await new BucketApi(stage).mustHold("again.gif", content);
        return `${sizes.length} contents, ${tags.size} ETags`;
      },
    },
    {
      id: "X13",
      title: "an object has the content type of its name, and a time set by a program survives a remount",
      expected: "image/jpeg; the same modification time on another mount; equal ETags from two machines",
      async run(stage) {
        const bucket = new BucketApi(stage);
        const content = picture(40_000);
        await upload(stage, "cat.jpg", content);
        equal("contentType", (await bucket.facts("cat.jpg"))?.contentType, "image/jpeg");

        const file = join(stage.uploads, "cat.jpg");
        await run(["touch", "-d", "2001-02-03T04:05:06Z", file]);
        // The change of a time is sent about a second later, together with others.
        const key = "goog-reserved-file-mtime";
        const seconds = String(Date.UTC(2001, 1, 3, 4, 5, 6) / 1000);
        const kept = await within(10_000, async () => (await bucket.facts("cat.jpg"))?.metadata?.[key]);
        equal(`metadata ${key}`, kept, seconds);

        const extra = await stage.mountAgain();
        const web = await stage.serve(extra.directory);
        try {
          const here = await view(stage, "cat.jpg", { method: "HEAD" });
          const there = await request(`${web.url}/uploads/cat.jpg`, { method: "HEAD" });
          equal("Last-Modified", there.headers["last-modified"], "Sat, 03 Feb 2001 04:05:06 GMT");
          equal("ETag from the other machine", there.headers.etag, here.headers.etag);
          return `image/jpeg, ${there.headers["last-modified"]}, ETag ${there.headers.etag} twice`;
        } finally {
          await web.close();
          await extra.close();
        }
      },
    },
  ],
};

async function seenBy(stage: Stage, file: string, content: Buffer): Promise<void> {
  for (const user of [String(appUser), "www-data", "root"]) {
    const { stdout, stderr } = await run(["sha256sum", file], { user });
    equal(`read by ${user} ${stderr}`, stdout.slice(0, 64), sha256(content));
  }
  equal("status of nginx", (await request(addressOf(stage, "for all.png"))).status, 200);
}
