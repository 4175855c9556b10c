import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import test from "ava";

import { createLog } from "./log.ts";
import { withoutSecrets } from "./secrets.ts";

function captured(level = "debug") {
  const lines: string[] = [];
  const log = createLog(level, { write: (line) => lines.push(line) });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> };
}

test("an event is one line of JSON with severity, time, message and its fields", (t) => {
  const { log, lines, last } = captured();
  log.info({ object: "a.jpg", bytes: 5 }, "upload done");
  t.like(last(), { severity: "INFO", message: "upload done", object: "a.jpg", bytes: 5 });
  t.regex(String(last()["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.is(lines[0]!.indexOf("\n"), lines[0]!.length - 1);
});

test("severities are those a log collector knows", (t) => {
  const { log, lines } = captured();
  for (const level of ["debug", "info", "warn", "error", "fatal"] as const) log[level]("event");
  const severities = lines.map((line) => (JSON.parse(line) as { severity: string }).severity);
  t.deepEqual(severities, ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]);
});

test("generations are written whole, as text, at any depth and in children", (t) => {
  const { log, last } = captured();
  log
    .child({ generation: 1795257390203123n })
    .info({ was: { generation: 9007199254740993n }, of: [1n] }, "replaced");
  t.like(last(), { generation: "1795257390203123", was: { generation: "9007199254740993" }, of: ["1"] });
});

test("an error keeps its kind, code, message and cause; only an unnamed one brings its stack", (t) => {
  const { log, last } = captured();
  const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const named = Object.assign(new Error("no answer", { cause }), { kind: "unavailable", status: undefined });
  log.warn({ err: named }, "upload will be retried");
  const err = last()["err"] as Record<string, unknown>;
  t.like(err, { type: "Error", kind: "unavailable", message: "no answer" });
  t.like(err["cause"] as object, { code: "ECONNREFUSED" });
  t.false("stack" in err);
  log.error(new TypeError("boom"));
  t.like(last(), { message: "boom", err: { type: "TypeError" } });
  t.regex(String((last()["err"] as { stack: string }).stack), /log\.test/);
});

test("nothing secret is logged, wherever it stands", (t) => {
  const { log, lines } = captured();
  const secret = "s3cr3t-VALUE.x_y";
  log.info(
    { headers: { authorization: `Bearer ${secret}`, Cookie: secret }, access_token: secret },
    "request",
  );
  log.info({ client_secret: secret, private_key: secret, credentials: { secret } }, "request");
  log.info(`sent Bearer ${secret}`);
  log.info({ url: `http://host/upload?uploadType=resumable&upload_id=${secret}&x=1` }, "session");
  log.info({ address: new URL(`https://host/o/a.jpg?X-Goog-Signature=${secret}`) }, "signed");
  log.error(new Error(`PUT https://host/?upload_id=${secret} failed`));
  log.error({ err: new Error("outer", { cause: new Error(`GET ?access_token=${secret}`) }) }, "cause");
  log.child({ token: secret }).child({ authorization: secret }).info("child");
  log.info({ pem: `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n` }, "key");
  log.info({ header: "Authorization: Basic czNjcjN0LVZBTFVFLnhfeQ==" }, "basic");
  t.is(lines.length, 10);
  for (const line of lines) {
    t.notRegex(line, /s3cr3t|czNjcjN0/);
    t.notThrows(() => JSON.parse(line));
  }
  t.true(lines[3]!.includes("x=1"), "what is beside a secret stays");
});

test("Google's access tokens and signed identities are recognised without a name", (t) => {
  t.is(withoutSecrets("got ya29.a0AfH6SMB-x_y for it"), "got [redacted] for it");
  t.is(withoutSecrets("eyJhbGciOiJSUzI1.eyJpc3MiOiJh.c2lnbmF0dXJl"), "[redacted]");
  t.is(withoutSecrets("a photo of a key=ring"), "a photo of a key=[redacted]");
  t.is(withoutSecrets("uploads/monkey.jpg"), "uploads/monkey.jpg");
});

test("durations are in milliseconds with one decimal", (t) => {
  const { log, last } = captured();
  log.info({ ms: 12.3456789, waitedMs: 0.04, ratio: 0.333333 }, "upload done");
  t.like(last(), { ms: 12.3, waitedMs: 0, ratio: 0.333333 });
});

test("fields that make no sense in a line do not break it", (t) => {
  const { log, last } = captured();
  const circle: Record<string, unknown> = { name: "circle" };
  circle["self"] = circle;
  log.info(
    { circle, bytes: Buffer.alloc(5), map: new Map([["a", 1n]]), set: new Set([2n]), nothing: undefined },
    "odd",
  );
  t.like(last(), { bytes: "5 bytes", map: { a: "1" }, set: ["2"] });
});

test("a terminal gets a readable form instead of JSON", (t) => {
  const module = fileURLToPath(new URL("log.ts", import.meta.url));
  const event = `(await import(${JSON.stringify(module)})).createLog("info").info({ object: "a.jpg" }, "upload done")`;
  const command = `"${process.execPath}" --input-type=module -e '${event}'`;
  const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { encoding: "utf8" });
  t.regex(stdout, /INFO.*upload done.*a\.jpg/);
  t.notRegex(stdout, /^\{/m);
});
