// Several customers: each in a bucket of his own, or in a folder of one they share.

import test from "ava";

import { BucketServer } from "../helpers/bucket-server.ts";
import { startFront, type Refusal, type Seen } from "../helpers/front.ts";
import { mounted, shell } from "../helpers/mounted.ts";
import { googleCertificate, MetadataServer, Vm } from "../helpers/vm.ts";

test.serial(
  "customers with a bucket and an identity each see their own, may use no other, and do not wait for each other",
  async (t) => {
    const server = await BucketServer.start(t);
    const certificate = await googleCertificate(t);
    const names = ["acme", "blue-sky", "corner-shop"];
    for (const name of names) {
      const body = JSON.stringify({ name });
      const headers = { "content-type": "application/json" };
      await fetch(`${server.url}/storage/v1/b?project=p`, { method: "POST", body, headers });
    }
    const identities = new Map<string, MetadataServer>();
    for (const name of names) identities.set(name, await MetadataServer.start(t));

    let stuck = { bucket: "", until: Promise.resolve() };
    const judge = async ({ url, authorization = "" }: Seen): Promise<Refusal | undefined> => {
      const bucket = /\/b\/([^/?]+)/.exec(url)?.[1] ?? "";
      if (bucket === stuck.bucket) await stuck.until;
      const owner = names.find((name) =>
        identities.get(name)?.tokens.some((token) => authorization.endsWith(token)),
      );
      if (owner === bucket) return undefined;
      return { status: 403, reason: "forbidden", message: `${owner} does not have storage.objects access` };
    };
    const google = await startFront(t, server.url, judge, certificate);
    const mountAs = (name: string, bucket: string): Promise<Vm> =>
      Vm.mount(t, { metadata: identities.get(name)!, certificate, port: google.port, bucket });

    const folders = new Map<string, Vm>();
    for (const name of names) folders.set(name, await mountAs(name, name));
    for (const name of names) await folders.get(name)?.shell(`echo "of ${name}" >"${name}.txt"`);
    for (const name of names) t.is(await folders.get(name)?.shell("ls"), `${name}.txt\n`);

    const error = String(await t.throwsAsync(mountAs("acme", "blue-sky")));
    t.regex(error, /these credentials may not list bucket blue-sky/);

    const release = Promise.withResolvers<void>();
    stuck = { bucket: "acme", until: release.promise };
    let answered = false;
    const waiting = folders
      .get("acme")
      ?.shell("echo late >late.txt")
      .then(() => (answered = true));
    for (const name of ["blue-sky", "corner-shop"]) {
      await folders.get(name)?.shell("for i in 1 2 3 4 5; do echo $i >$i.txt; cat $i.txt; done");
    }
    t.false(answered, "one customer's bucket answers nothing, the others' programs are done");
    release.resolve();
    await waiting;
  },
);

test.serial(
  "customers who share a bucket cannot leave their folder, whatever names they and others choose",
  async (t) => {
    const server = await BucketServer.start(t);
    const others = ["cust-b/secret.txt", "cust-ab/secret.txt", "cust-a", "secret.txt"];
    const hostile = ["cust-a/../cust-b/planted.txt", "cust-a//cust-b/planted.txt", "cust-a/./x", "cust-a/.."];
    for (const name of [...others, ...hostile, "cust-a/own.txt"]) await server.put(name, `in ${name}`);
    await server.forgetRequests();
    const mount = await mounted(t, server, ["--prefix", "cust-a/"]);

    t.is(await shell(mount, "ls -A"), "own.txt\n");
    for (const script of [
      "cat ../cust-b/secret.txt",
      "cat /cust-b/secret.txt",
      "ln -s ../cust-b/secret.txt link && cat link",
      "ln -s ../../cust-b up && ls up/",
      "mv own.txt ../cust-b/",
      "cat 'cust-b/secret.txt'",
      "cat $'..\\\\cust-b\\\\secret.txt'",
    ]) {
      await t.throwsAsync(shell(mount, script), undefined, script);
    }
    await shell(
      mount,
      "mkdir -p cust-b; echo mine >cust-b/secret.txt; echo more >>own.txt; mv own.txt moved.txt",
    );
    t.is(await mount.stop(), 0);

    // What it asked about, and what it asked for.
    for (const { object = "", query } of await server.requests()) {
      const { prefix, name } = query as { prefix?: string; name?: string };
      for (const each of [object, prefix, name]) if (each) t.true(each.startsWith("cust-a/"), each);
    }

    for (const name of others) t.is(String(await server.get(name)), `in ${name}`, name);
    t.is(String(await server.get("cust-a/cust-b/secret.txt")), "mine\n");
    t.true((await server.names()).every((name) => name.startsWith("cust-a/") || others.includes(name)));
  },
);
