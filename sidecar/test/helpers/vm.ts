// A process on a Google VM, as far as it can tell: storage.googleapis.com (and Pub/Sub) is where the test says, and its identity
// comes from a metadata server.
//
// Names are looked up in an /etc/hosts of its own, in a mount namespace of its own, and the certificate is signed by
// one that only this process trusts. Nothing of sidemount is told that this is a test.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { BUCKET, end } from "./bucket-server.ts";
import type { Cleaning } from "./cleanups.ts";

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const GOOGLE = "storage.googleapis.com";
const PUBSUB = "pubsub.googleapis.com";
/** The project its identity belongs to. */
export const PROJECT = "pretended-project";

/** Gives tokens of no particular form, as the service may: nothing but their names can keep them out of logs. */
export class MetadataServer {
  readonly tokens: string[] = [];
  readonly asked: IncomingMessage[] = [];
  readonly address: string;
  /** How long tokens are good for. */
  lifeSeconds = 3600;
  /** Instead of a token. */
  refusal: number | undefined;

  private constructor(address: string) {
    this.address = address;
  }

  static async start(t: Cleaning): Promise<MetadataServer> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const metadata = new MetadataServer(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on("request", (request: IncomingMessage, response) => {
      const { status, body } = metadata.#answer(request);
      response.writeHead(status, { "metadata-flavor": "Google", "content-type": "application/json" });
      response.end(body);
    });
    t.teardown(async () => {
      server.close();
      server.closeAllConnections();
    });
    return metadata;
  }

  #answer(request: IncomingMessage): { status: number; body: string } {
    this.asked.push(request);
    if (request.headers["metadata-flavor"] !== "Google")
      return { status: 403, body: "Missing Metadata-Flavor" };
    if (request.url?.endsWith("/universe/universe-domain")) return { status: 404, body: "" };
    if (request.url?.endsWith("/project/project-id")) return { status: 200, body: PROJECT };
    if (!request.url?.startsWith("/computeMetadata/v1/instance/service-accounts/default/token")) {
      return { status: 200, body: "default" };
    }
    if (this.refusal !== undefined) return { status: this.refusal, body: "no" };
    const access_token = `${randomBytes(24).toString("base64url")}.${this.tokens.length}`;
    this.tokens.push(access_token);
    return {
      status: 200,
      body: JSON.stringify({ access_token, expires_in: this.lifeSeconds, token_type: "Bearer" }),
    };
  }
}

export interface Certificate {
  readonly file: string;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** For storage.googleapis.com and Pub/Sub, and its own authority. */
export async function googleCertificate(t: Cleaning): Promise<Certificate> {
  const folder = await temporary(t, "certificate");
  const [key, file] = [path.join(folder, "key.pem"), path.join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const names = [
    "-subj",
    `/CN=${GOOGLE}`,
    "-addext",
    `subjectAltName=DNS:${GOOGLE},DNS:${PUBSUB}`,
    "-days",
    "2",
  ];
  await run("openssl", ["req", "-x509", ...curve, "-keyout", key, "-out", file, ...names]);
  return { file, key: await readFile(key), cert: await readFile(file) };
}

export interface VmOptions {
  readonly metadata: MetadataServer;
  readonly certificate: Certificate;
  /** Where Google's service is on this machine. */
  readonly port: number;
  /** Instead of Google's. */
  readonly endpoint?: string;
  readonly bucket?: string;
  /** More options of `mount`. */
  readonly more?: readonly string[];
}

export class Vm {
  /** Everything it said, on both streams. */
  said = "";
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (text) => (this.said += String(text)));
  }

  /** Mounts the bucket on a VM; rejects with what it said if that fails. */
  static async mount(t: Cleaning, options: VmOptions): Promise<Vm> {
    const base = await temporary(t, "vm");
    const directory = path.join(base, "mnt");
    await mkdir(directory);
    await writeFile(path.join(base, "hosts"), `127.0.0.1 localhost ${GOOGLE} ${PUBSUB}\n`);
    const endpoint = options.endpoint ?? `https://${GOOGLE}:${options.port}`;
    const words = [
      "mount",
      options.bucket ?? BUCKET,
      directory,
      "--endpoint",
      endpoint,
      "--state-dir",
      path.join(base, "state"),
    ];
    const script = 'mount --bind "$HOSTS" /etc/hosts && exec "$@"';
    const program = [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      MAIN,
      ...words,
      "--log-level",
      "debug",
      ...(options.more ?? []),
    ];
    const { GOOGLE_APPLICATION_CREDENTIALS: _, STORAGE_EMULATOR_HOST: __, ...inherited } = process.env;
    const child = spawn(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-c", script, "sh", ...program],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...inherited,
          HOSTS: path.join(base, "hosts"),
          HOME: base, // nobody's own credentials
          NODE_EXTRA_CA_CERTS: options.certificate.file,
          GCE_METADATA_HOST: options.metadata.address,
          METADATA_SERVER_DETECTION: "assume-present",
          NO_PROXY: "*",
        },
      },
    );
    const vm = new Vm(child, directory);
    t.teardown(async () => void (await vm.stop()));
    await vm.#mounted();
    return vm;
  }

  async #mounted(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: this.#child.stdout! }).on("line", (line) => {
        if (line.includes('"message":"mounted"')) resolve();
      });
      this.#child.once("close", (code) => reject(new Error(`ended with ${code}: ${this.said}`)));
    });
  }

  /** Runs a shell script in the mounted folder; answers its output. */
  async shell(script: string): Promise<string> {
    const words = [
      "--mount",
      `--target=${this.#child.pid}`,
      "sh",
      "-euc",
      `cd "${this.#directory}"; ${script}`,
    ];
    const { stdout } = await run("nsenter", words, { maxBuffer: 64 << 20 });
    return stdout;
  }

  /** Answers the exit code. */
  stop(): Promise<number | null> {
    return end(this.#child);
  }
}

async function temporary(t: Cleaning, what: string): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), `sidemount-${what}-`));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
