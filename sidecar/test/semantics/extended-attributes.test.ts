// Extended attributes: user.* in the metadata of objects, with --xattrs; without it, none.

import test from "ava";
import { writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { onEachChannel, python as runPython, servedSession, shell } from "../helpers/mounted.ts";
import { behaviours } from "../helpers/settings.ts";

const behaviour = behaviours(["--xattrs"]);
const eachChannel = onEachChannel(test);

/** `said(call)` answers what the call returns, or the name of its error. */
const SAID = `
import errno
def said(call, *words):
    try: return call(*words)
    except OSError as e: return errno.errorcode[e.errno]
`;

behaviour("attributes of files and folders are set, read, listed and removed", async ({ t, python }) => {
  const seen = await python(`${SAID}
open("f","w").close(); os.mkdir("d"); value = bytes(range(256))
for at in ("f", "d"):
    os.setxattr(at, "user.a", value); os.setxattr(at, "user.Größe/ü", b""); os.setxattr(at, "user.b", b"1")
    print(os.getxattr(at, "user.a") == value, os.getxattr(at, "user.Größe/ü"), sorted(os.listxattr(at)))
    os.removexattr(at, "user.b"); print(said(os.getxattr, at, "user.b"), said(os.removexattr, at, "user.b"), sorted(os.listxattr(at)))`);
  const each = "True b'' ['user.Größe/ü', 'user.a', 'user.b']\nENODATA ENODATA ['user.Größe/ü', 'user.a']\n";
  t.is(seen, each + each);
});

behaviour("setting can be demanded to create, or to replace", async ({ t, python }) => {
  const seen = await python(`${SAID}
f = os.open("f", os.O_CREAT|os.O_RDWR)
print(said(os.setxattr, f, "user.a", b"1", os.XATTR_REPLACE), said(os.setxattr, f, "user.a", b"1", os.XATTR_CREATE))
print(said(os.setxattr, f, "user.a", b"2", os.XATTR_CREATE), said(os.setxattr, f, "user.a", b"3", os.XATTR_REPLACE), os.getxattr(f, "user.a"))`);
  t.is(seen, "ENODATA None\nEEXIST None b'3'\n");
});

behaviour(
  "they are keys of the object's metadata about a second later, with those that other tools have put there",
  async ({ t, server, top, path, shell: run }) => {
    await server.put(`${top}/f`, "x", { owner: "me", "sidemount-xattr-old": "b2xk" });
    await run(
      `python3 -c 'import os; print(os.listxattr("f"), os.getxattr("f", "user.old")); os.setxattr("f", "user.new", b"new")'`,
    );
    await eventually(
      async () => (await server.stat(`${top}/f`))?.metadata?.["sidemount-xattr-new"] === "bmV3",
    );
    t.like((await server.stat(`${top}/f`))?.metadata, { owner: "me", "sidemount-xattr-old": "b2xk" });
    await writeFile(path("f"), "another version");
    t.like((await server.stat(`${top}/f`))?.metadata, {
      owner: "me",
      "sidemount-xattr-old": "b2xk",
      "sidemount-xattr-new": "bmV3",
    });
  },
);

behaviour(
  "what is set while a file is being written goes along with its bytes, in one request",
  async ({ t, server, top, python }) => {
    await python(
      `f = open("f","w"); f.write("x"); f.flush(); os.setxattr(f.fileno(), "user.a", b"1"); f.close()`,
    );
    t.is((await server.stat(`${top}/f`))?.metadata?.["sidemount-xattr-a"], "MQ==");
    await delay(1500);
    const writes = (await server.requests())
      .filter(({ object, method }) => object === `${top}/f` && /insert|patch/.test(method))
      .map(({ method }) => method);
    t.deepEqual(writes, ["storage.objects.insert"]);
  },
);

behaviour(
  "renames, cp -a and cp --preserve=xattr carry them along, overwriting keeps them, a new file of the name has none",
  async ({ t, python, shell: run }) => {
    await python(`
open("f","w").write("x"); os.setxattr("f", "user.a", b"1"); os.rename("f","g"); os.mkdir("d"); os.setxattr("d", "user.d", b"2")
open("g","w").write("again"); os.rename("d","e")`);
    await run("cp --preserve=xattr g h; cp -a g i; cp -a e j; cp g k; rm g; touch g");
    const seen = await python(`print([os.listxattr(name) for name in ("e","g","h","i","j","k")])`);
    t.is(seen, "[['user.d'], [], ['user.a'], ['user.a'], ['user.d'], []]\n");
  },
);

behaviour(
  "what does not fit the metadata of an object is refused, and the rest stays",
  async ({ t, python }) => {
    const seen = await python(`${SAID}
open("f","w").close(); os.setxattr("f", "user.a", b"x" * 3000)
print(said(os.setxattr, "f", "user.b", b"x" * 3000), said(os.setxattr, "f", "user." + "n" * 250, b"1"), os.listxattr("f"))
print(said(os.setxattr, "f", "user.a", b"y" * 5000), os.getxattr("f", "user.a")[:1], said(os.setxattr, "f", "user.b", b"x" * 70000))`);
    t.is(seen, `ENOSPC None ['user.a', 'user.${"n".repeat(250)}']\nNone b'y' E2BIG\n`);
  },
);

behaviour("names longer than 255 bytes are refused with ERANGE", async ({ t, python }) => {
  const seen = await python(`${SAID}
open("f","w").close(); print(said(os.setxattr, "f", "user." + "n" * 251, b"1"), said(os.getxattr, "f", "user." + "n" * 251))`);
  t.is(seen, "ERANGE ERANGE\n");
});

behaviour("other name spaces are not kept, links and FIFOs have none", async ({ t, python }) => {
  const seen = await python(`${SAID}
open("f","w").close(); os.symlink("f","l"); os.mkfifo("p")
print([said(os.setxattr, "f", name, b"1") for name in ("security.x", "trusted.x", "system.x", "x.y")])
print([said(os.getxattr, "f", name) for name in ("security.capability", "trusted.x", "system.posix_acl_access")])
print(said(os.setxattr, "p", "user.a", b"1"), said(lambda: os.setxattr("l", "user.a", b"1", follow_symlinks=False)), os.listxattr("p"))`);
  t.is(
    seen,
    "['ENOTSUP', 'ENOTSUP', 'ENOTSUP', 'ENOTSUP']\n['ENOTSUP', 'ENOTSUP', 'ENOTSUP']\nEPERM EPERM []\n",
  );
});

behaviour(
  "what the bucket says of an object is read by name, not listed, and cannot be set",
  async ({ t, server, top, path, python }) => {
    await server.put(`${top}/f`, "123456789");
    const object = await server.stat(`${top}/f`);
    const seen = await python(`${SAID}
g = lambda at, name: said(os.getxattr, at, "user.gcs." + name)
print([g("f", name).decode() for name in ("generation","metageneration","crc32c","content_type","storage_class","updated","state")])
print(os.listxattr("f"), said(os.setxattr, "f", "user.gcs.generation", b"1"), said(os.removexattr, "f", "user.gcs.state"), g("f", "nothing"))
n = open("new","w"); n.write("x"); n.flush(); print(g("new", "generation"), g("new", "state")); n.close(); print(g("new", "state"))
os.chmod("new", 0o600); print(g("new", "state"))`);
    t.is(
      seen.split("\n")[0],
      `['${object?.generation}', '1', '4waSgw==', '${object?.contentType}', 'STANDARD', '${object?.updated}', 'clean']`,
    );
    t.deepEqual(seen.split("\n").slice(1, 5), [
      "[] EPERM EPERM ENODATA",
      "ENODATA b'changed'",
      "b'clean'",
      "b'changed'",
    ]);
    await writeFile(path("f"), "other");
    t.not(
      (await python(`print(os.getxattr("f", "user.gcs.generation").decode())`)).trim(),
      object?.generation,
    );
  },
);

behaviour(
  "a folder that others made, larger than a look, has the attributes of its object",
  async ({ t, server, top, python }) => {
    await server.put(`${top}/big/`, "", { "sidemount-xattr-a": "MQ==" });
    const names = Array.from({ length: 260 }, (_, i) => `${top}/big/${i}`);
    await Promise.all(names.map((name) => server.put(name, "")));
    t.is(await python(`print(os.getxattr("big", "user.a")); os.setxattr("big", "user.b", b"2")`), "b'1'\n");
    await eventually(
      async () => (await server.stat(`${top}/big/`))?.metadata?.["sidemount-xattr-b"] === "Mg==",
    );
    t.is((await server.stat(`${top}/big/`))?.metadata?.["sidemount-xattr-a"], "MQ==");
  },
);

eachChannel("they are there after a remount, also those that were not sent yet", async (t, channel) => {
  const { mount } = await channel.session(t, ["--xattrs"]);
  await runPython(
    mount,
    `import os; open("f","w").close(); os.mkdir("d"); [os.setxattr(n, "user.a", b"1") for n in "fd"]; os.setxattr("f", "user.b", b"2")`,
  );
  await mount.kill();
  await mount.detach();
  await mount.start();
  await runPython(mount, `import os; os.removexattr("f", "user.b")`);
  await mount.restart();
  const seen = await runPython(
    mount,
    `import os; print([(os.listxattr(n), os.getxattr(n, "user.a")) for n in "fd"])`,
  );
  t.is(seen, "[(['user.a'], b'1'), (['user.a'], b'1')]\n");
});

eachChannel("a file whose upload failed says so for as long as it is open", async (t, channel) => {
  const { server, mount } = await channel.session(t, ["--xattrs"]);
  await server.faults({ method: "storage.objects.insert", action: "return-403", count: 1 });
  const seen = await runPython(
    mount,
    `${SAID}
import os
f = os.open("f", os.O_CREAT|os.O_RDWR); os.write(f, b"x"); print(said(os.fsync, f), os.getxattr("f", "user.gcs.state"))
print(said(os.fsync, f), os.getxattr("f", "user.gcs.state"))`,
  );
  t.is(seen, "EACCES b'failed'\nNone b'clean'\n");
});

test("the folder for web servers has none, and so needs no question for each read", async (t) => {
  const { server, mount } = await servedSession(t, ["--channel", "device", "--xattrs"]);
  await server.put("f", "x", { "sidemount-xattr-a": "MQ==" });
  const seen = await runPython(
    mount,
    `${SAID}
import os
f = ${JSON.stringify(mount.served("f"))}; print(open(f).read(), said(os.getxattr, f, "user.a"), said(os.listxattr, f))`,
  );
  t.is(seen, "x ENOTSUP ENOTSUP\n");
});

eachChannel("without --xattrs there are none, and those an object has stay", async (t, channel) => {
  const { server, mount } = await channel.session(t);
  await server.put("f", "x", { "sidemount-xattr-a": "MQ==" });
  const seen = await runPython(
    mount,
    `${SAID}
import os
print(said(os.listxattr, "f"), said(os.getxattr, "f", "user.a"), said(os.setxattr, "f", "user.a", b"1"), said(os.removexattr, "f", "user.a"))
open("f","w").write("more"); os.rename("f", "g")`,
  );
  t.is(seen, "ENOTSUP ENOTSUP ENOTSUP ENOTSUP\n");
  await shell(mount, "cp -a g h; rm h");
  t.is((await server.stat("g"))?.metadata?.["sidemount-xattr-a"], "MQ==");
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 100 && !(await holds()); waited += 1) await delay(100);
}
