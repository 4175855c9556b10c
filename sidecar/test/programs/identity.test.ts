// Who sidemount is on a Google VM, seen from outside: a metadata server that pretends, and Google's service where the
// VM's own name look-up finds it, in front of the local server. One after another: each is a whole start, which has
// to be done within the time a start has.

import { setTimeout as delay } from "node:timers/promises";

import test, { type ExecutionContext } from "ava";

import { BucketServer } from "../helpers/bucket-server.ts";
import { startFront, type Front, type Seen } from "../helpers/front.ts";
import { googleCertificate, MetadataServer, PROJECT, Vm } from "../helpers/vm.ts";

interface Place {
  readonly server: BucketServer;
  readonly metadata: MetadataServer;
  readonly google: Front;
  /** Tokens the service does not accept, and how many more requests it answers with 503. */
  readonly revoked: Set<string>;
  readonly unwell: { left: number };
  readonly mount: (endpoint?: string, more?: readonly string[]) => Promise<Vm>;
}

async function place(t: ExecutionContext): Promise<Place> {
  const server = await BucketServer.start(t);
  const metadata = await MetadataServer.start(t);
  const certificate = await googleCertificate(t);
  const revoked = new Set<string>();
  const unwell = { left: 0 };
  const judge = ({ authorization }: Seen) => {
    const token = tokenOf(authorization);
    // As unkind as can be: what was sent is repeated in the answer.
    const message = `It was: ${authorization}`;
    if (!metadata.tokens.includes(token) || revoked.has(token))
      return { status: 401, reason: "authError", message };
    unwell.left -= 1;
    return unwell.left >= 0 ? { status: 503, reason: "backendError", message } : undefined;
  };
  const google = await startFront(t, server.url, judge, certificate);
  const mount = (endpoint?: string, more: readonly string[] = []): Promise<Vm> =>
    Vm.mount(t, {
      more,
      metadata,
      certificate,
      port: google.port,
      ...(endpoint === undefined ? {} : { endpoint }),
    });
  return { server, metadata, google, revoked, unwell, mount };
}

function tokenOf(authorization: string | undefined): string {
  return /^Bearer (.+)$/.exec(authorization ?? "")?.[1] ?? "";
}

/** The tokens requests came with, each once. */
function tokensUsed({ seen }: Front): string[] {
  return [...new Set(seen.map(({ authorization }) => tokenOf(authorization)))];
}

function saysNothingOf(t: ExecutionContext, vm: Vm, tokens: readonly string[]): void {
  t.true(tokens.length > 0);
  for (const token of tokens) t.false(vm.said.includes(token), vm.said);
}

test.serial(
  "on a VM every request carries a token of the VM's identity, and no key is anywhere",
  async (t) => {
    const { server, metadata, google, mount } = await place(t);
    await server.put("there.txt", "from elsewhere");
    const vm = await mount();
    t.is(
      await vm.shell("cat there.txt; echo new >new.txt; mv new.txt renamed.txt; ls"),
      "from elsewhererenamed.txt\nthere.txt\n",
    );
    t.is(await vm.stop(), 0);
    t.deepEqual(await server.names(), ["renamed.txt", "there.txt"]);
    t.true(google.seen.length > 4);
    t.deepEqual(tokensUsed(google), metadata.tokens);
    t.is(metadata.tokens.length, 1);
    for (const { headers } of metadata.asked) t.is(headers["metadata-flavor"], "Google");
    saysNothingOf(t, vm, metadata.tokens);
  },
);

test.serial("a token is renewed before it expires: no request is ever refused for it", async (t) => {
  const { metadata, google, mount } = await place(t);
  // Renewed five minutes before its end, so that each is used for about two seconds.
  metadata.lifeSeconds = 302;
  const vm = await mount();
  for (let count = 0; count < 6; count += 1) {
    await vm.shell(`echo ${count} >file-${count}.txt`);
    await delay(1_000);
  }
  t.is(await vm.stop(), 0);
  t.true(tokensUsed(google).length >= 3, `${tokensUsed(google).length} tokens`);
  t.deepEqual(tokensUsed(google), metadata.tokens);
  for (const token of metadata.tokens) {
    const times = google.seen
      .filter(({ authorization }) => tokenOf(authorization) === token)
      .map(({ atMs }) => atMs);
    t.true(Math.max(...times) - Math.min(...times) < 5_000);
  }
  t.notRegex(vm.said, /\b401\b|authError/);
  saysNothingOf(t, vm, metadata.tokens);
});

test.serial(
  "a token that is refused is replaced by a new one, and the program that was writing notices nothing",
  async (t) => {
    const { server, metadata, google, revoked, mount } = await place(t);
    const vm = await mount();
    await vm.shell("echo one >one.txt");
    for (const size of [1, 12]) {
      for (const token of metadata.tokens) revoked.add(token);
      await vm.shell(`head -c ${size}M /dev/urandom >big-${size}.bin; cat one.txt; ls >/dev/null`);
      t.is((await server.stat(`big-${size}.bin`))?.size, String(size << 20));
    }
    t.is(await vm.stop(), 0);
    t.deepEqual(tokensUsed(google), metadata.tokens);
    t.is(metadata.tokens.length, 3);
    saysNothingOf(t, vm, metadata.tokens);
  },
);

test.serial(
  "where tokens come from may be out for a moment; the program waits, and then its file is stored",
  async (t) => {
    const { server, metadata, revoked, mount } = await place(t);
    const vm = await mount();
    for (const token of metadata.tokens) revoked.add(token);
    metadata.refusal = 503;
    const writing = vm.shell("echo patient >patient.txt");
    await delay(3_000);
    metadata.refusal = undefined;
    await writing;
    t.is(String(await server.get("patient.txt")), "patient\n");
    saysNothingOf(t, vm, metadata.tokens);
  },
);

test.serial(
  "an identity that is refused for good is no permission to the program, not a missing file, and no token in the log",
  async (t) => {
    const { server, metadata, google, revoked, mount } = await place(t);
    await server.put("there.txt", "x");
    const vm = await mount();
    revoked.has = () => true;
    for (const script of ["cat there.txt", "echo x >new.txt", "ls"]) {
      t.regex(String(await t.throwsAsync(vm.shell(script))), /Permission denied/, script);
    }
    t.true(google.seen.length > 6);
    saysNothingOf(t, vm, metadata.tokens);
  },
);

test.serial("what the service says of a request is logged, without the token that it repeats", async (t) => {
  const { metadata, unwell, mount } = await place(t);
  const vm = await mount();
  unwell.left = 2;
  await vm.shell("echo x >x.txt");
  t.regex(vm.said, /"severity":"DEBUG".*It was: Bearer \[redacted\]/);
  saysNothingOf(t, vm, metadata.tokens);
});

test.serial("another endpoint than Google's gets no token, and nobody asks for one", async (t) => {
  const { server, metadata, mount } = await place(t);
  const plain = await startFront(t, server.url, () => undefined);
  const vm = await mount(`http://127.0.0.1:${plain.port}`);
  await vm.shell("echo x >x.txt");
  t.is(await vm.stop(), 0);
  t.true(plain.seen.length > 1);
  for (const { authorization } of plain.seen) t.is(authorization, undefined);
  t.deepEqual(metadata.asked, []);
});

test.serial("a VM without an identity mounts nothing and says what to do", async (t) => {
  const { metadata, mount } = await place(t);
  metadata.refusal = 404;
  const error = await t.throwsAsync(mount());
  t.regex(String(error), /ended with [1-9]/);
  t.regex(String(error), /no usable credentials for bucket test/);
  t.regex(String(error), /give it a service account/);
});

test.serial(
  "notifications are those of Google's Pub/Sub, asked for by the VM's identity in its project",
  async (t) => {
    const { server, metadata, google, mount } = await place(t);
    const vm = await mount(undefined, ["--notifications", "auto"]);
    const subscription = new RegExp(
      `"subscription":"(projects/${PROJECT}/subscriptions/sidemount-test-[^"]+)"`,
    );
    for (const endMs = Date.now() + 30_000; !subscription.test(vm.said); await delay(20))
      if (Date.now() > endMs) return t.fail(vm.said);
    await server.put("f", "old");
    await server.age(3_600_000);
    t.is(await vm.shell("cat f"), "old");
    await server.put("f", "new");
    for (const endMs = Date.now() + 30_000; (await vm.shell("cat f")) !== "new"; await delay(20))
      if (Date.now() > endMs) return t.fail("trusted for a minute, and not told");
    t.is(await vm.stop(), 0);
    const [, name = ""] = subscription.exec(vm.said) ?? [];
    for (const [method, path] of [
      ["PUT", `/v1/projects/${PROJECT}/topics/sidemount-test`],
      ["PUT", `/v1/${name}`],
      ["POST", `/v1/${name}:pull`],
      ["POST", `/v1/${name}:acknowledge`],
      ["DELETE", `/v1/${name}`],
    ])
      t.true(
        google.seen.some(({ method: sent, url }) => sent === method && url === path),
        `${method} ${path}`,
      );
    t.deepEqual(tokensUsed(google), metadata.tokens);
    saysNothingOf(t, vm, metadata.tokens);
  },
);
