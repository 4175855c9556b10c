// A network with a bucket server in it, and demos on that bucket.

import test from "ava";

import { request } from "../../../scripts/acceptance/http.ts";
import { freePorts } from "../../../scripts/demo/ports.ts";
import { bucketName } from "../../../scripts/demo/stage.ts";
import { bridgeOptions } from "../../../scripts/container/bridges.ts";
import { imageName, labels } from "../../../scripts/container/names.ts";
import { Cleanups, type Cleaning } from "../helpers/cleanups.ts";
import { Container, docker, eventually, freshName, MOUNTING, type ContainerSettings } from "./container.ts";

/** Where containers of a site find its bucket server. */
export const ENDPOINT = "http://bucket:4443";

export interface DemoSettings extends Partial<Omit<ContainerSettings, "image">> {
  /** Flags in place of those that allow mounting. */
  readonly privileges?: readonly string[];
  /** The port of the web server on this machine, if it must be a certain one. */
  readonly port?: number;
}

/** A running demo and the address its visitors use. */
export interface Demo {
  readonly container: Container;
  readonly publicUrl: string;
}

export class Site {
  readonly network: string;
  readonly bucketUrl: string;
  readonly bucket: Container;
  readonly #cleaning: Cleaning;

  private constructor(network: string, bucketUrl: string, bucket: Container, cleaning: Cleaning) {
    this.network = network;
    this.bucketUrl = bucketUrl;
    this.bucket = bucket;
    this.#cleaning = cleaning;
  }

  static async open(cleaning: Cleaning): Promise<Site> {
    const network = freshName("network");
    await docker.ask(["network", "create", ...labels(), ...bridgeOptions(), network]);
    cleaning.teardown(async () => void (await docker.call(["network", "rm", network])));
    const port = (await freePorts()).bucket;
    const bucket = await Container.run({
      image: imageName("sidecar"),
      flags: ["--network", network, "--network-alias", "bucket", "--publish", `127.0.0.1:${port}:4443`],
      args: ["local-gcs", "/data", "--host", "0.0.0.0", "--bucket", bucketName, "--admin"],
    });
    cleaning.teardown(() => bucket.remove());
    const site = new Site(network, `http://127.0.0.1:${port}`, bucket, cleaning);
    await site.bucketAnswers();
    return site;
  }

  async bucketAnswers(): Promise<void> {
    await answers(`${this.bucketUrl}/storage/v1/b/${bucketName}`, this.bucket);
  }

  /** What a container needs to be on this site and use its bucket. */
  get flags(): string[] {
    return ["--network", this.network, "--env", `STORAGE_EMULATOR_HOST=${ENDPOINT}`];
  }

  /** Starts a container that is expected to end by itself. */
  async attempt(settings: DemoSettings): Promise<Container> {
    const container = await Container.run(this.#demoSettings(settings));
    this.#cleaning.teardown(() => container.remove());
    return container;
  }

  /** Starts a demo without waiting for anything. */
  async start(settings: DemoSettings = {}): Promise<Demo> {
    const port = settings.port ?? (await freePorts()).web;
    const publish = `--publish=127.0.0.1:${port}:80`;
    const container = await this.attempt({ ...settings, flags: [publish, ...(settings.flags ?? [])] });
    return { container, publicUrl: `http://localhost:${port}` };
  }

  /** Starts a demo. Resolves when it serves. */
  async demo(settings: DemoSettings = {}): Promise<Demo> {
    const demo = await this.start(settings);
    await answers(`${demo.publicUrl}/`, demo.container);
    return demo;
  }

  /** The settings of a container with the sidecar alone, for this site's bucket. */
  sidecar(args: readonly string[]): ContainerSettings {
    return { image: imageName("sidecar"), flags: [...this.flags, ...MOUNTING], args };
  }

  /** The settings of a container with the demo on this site's bucket. */
  #demoSettings({
    privileges = MOUNTING,
    flags = [],
    environment = {},
    ...others
  }: DemoSettings): ContainerSettings {
    return {
      ...others,
      image: imageName("demo"),
      flags: [...this.flags, ...privileges, ...flags],
      environment: { GCS_BUCKET: bucketName, ...environment },
    };
  }
}

/** Resolves once the address answers 200; fails with the container's last words when that ends instead. */
export async function answers(url: string, container: Container): Promise<void> {
  await eventually(`an answer from ${url}`, async () => {
    const status = await request(url, { timeoutMs: 5000 }).then(
      (answer) => answer.status,
      () => undefined,
    );
    if (status === 200) return true;
    const { Status, ExitCode } = await container.state();
    if (Status === "running") return undefined;
    const { stdout, stderr } = container.logs();
    throw new Error(`${container.name} is ${Status} (${ExitCode}): ${(stdout + stderr).slice(-2000)}`);
  });
}

/** One site for all tests of a file. */
export function siteOfFile(): () => Site {
  const cleanups = new Cleanups();
  let site: Site | undefined;
  test.before("a bucket server starts", async () => {
    site = await Site.open(cleanups);
  });
  test.after.always("nothing of it is left", () => cleanups.run());
  return () => site!;
}
