// The stage of the acceptance steps with containers as its parts: a bucket server, and app, nginx and mount in one
// container of the demo image. The app's folder is shared with this machine, so that the steps see it.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Death, ExtraMount, Part, Stage, StagedProgram } from "../../../scripts/acceptance/stage.ts";
import { labels } from "../../../scripts/container/names.ts";
import { isFuseMount, unmountWithin } from "../../../scripts/demo/mounts.ts";
import { placeBelow, projectDirectory } from "../../../scripts/demo/place.ts";
import { freePorts, type Ports } from "../../../scripts/demo/ports.ts";
import { webService } from "../../../scripts/demo/services.ts";
import { bucketName } from "../../../scripts/demo/stage.ts";
import { Cleanups } from "../helpers/cleanups.ts";
import { Container, docker, eventually, freshName } from "./container.ts";
import { sharedFolder } from "./shared-folder.ts";
import { Site } from "./site.ts";

// What gunicorn and Flask write, and nginx about errors: everything else is the log of nginx and sidemount.
const notJson = /^(\[\d{4}-|\d{4}\/\d\d\/\d\d |Traceback | {2}|\w+(\.\w+)*(Error|Exception)\b)/;

export class ContainerStage implements Stage {
  readonly folder: string;
  readonly uploads: string;
  readonly #site: Site;
  readonly #ports: Ports;
  readonly #cleanups: Cleanups;
  readonly #state = freshName("state");
  readonly #death = Promise.withResolvers<Death>();
  readonly #extras = new Set<ExtraMount>();
  #demo: Container | undefined;
  #count = 0;

  private constructor(folder: string, site: Site, ports: Ports, cleanups: Cleanups) {
    this.folder = folder;
    this.uploads = join(folder, "uploads");
    this.#site = site;
    this.#ports = ports;
    this.#cleanups = cleanups;
  }

  /** Started. */
  static async open(): Promise<ContainerStage> {
    const cleanups = new Cleanups();
    try {
      const folder = await sharedFolder(cleanups);
      for (const name of ["uploads", "tmp", "web/logs", "web/run/pids"]) {
        await mkdir(join(folder, name), { recursive: true });
      }
      const stage = new ContainerStage(folder, await Site.open(cleanups), await freePorts(), cleanups);
      cleanups.teardown(async () => void (await docker.call(["volume", "rm", "--force", stage.#state])));
      await stage.#start();
      return stage;
    } catch (error) {
      await cleanups.run();
      throw error;
    }
  }

  get publicUrl(): string {
    return `http://localhost:${this.#ports.web}`;
  }

  get appUrl(): string {
    return `http://127.0.0.1:${this.#ports.app}`;
  }

  get bucketUrl(): string {
    return this.#site.bucketUrl;
  }

  get death(): Promise<Death> {
    return this.#death.promise;
  }

  service(name: Part): StagedProgram {
    const container = name === "bucket" ? this.#site.bucket : this.#demo;
    const said = () => {
      const { stdout, stderr } = container?.logs() ?? { stdout: "", stderr: "" };
      const lines = (stdout + stderr).trimEnd().split("\n");
      return (name === "mount" ? lines.filter((line) => !notJson.test(line)) : lines).join("\n");
    };
    return { said, kill: async () => container?.kill() };
  }

  /** A new container in place of the last one. What that one kept in its state volume is there. */
  async #start(): Promise<void> {
    await this.#demo?.remove();
    const { web, app } = this.#ports;
    await docker.ask(["volume", "create", ...labels(), this.#state]);
    const { container } = await this.#site.demo({
      port: web,
      flags: [
        `--publish=127.0.0.1:${app}:5000`,
        `--volume=${this.#state}:/var/lib/sidemount`,
        `--volume=${this.folder}:${this.folder}:rshared`,
      ],
      environment: {
        FLASK_UPLOAD_FOLDER: this.uploads,
        GUNICORN_CMD_ARGS: "--bind 0.0.0.0:5000",
      },
    });
    this.#demo = container;
    await eventually(`a mount at ${this.uploads}`, () => isFuseMount(this.uploads) || undefined);
    void container.ended(0).then(
      (code) => {
        if (this.#demo !== container || container.wasKilled) return;
        const service = this.service("app");
        this.#death.resolve({ message: `the demo container ended with status ${code}`, service });
      },
      () => {}, // it was removed meanwhile
    );
  }

  async startAgain(names: readonly Part[]): Promise<void> {
    if (names.includes("bucket")) {
      await this.#site.bucket.start();
      await this.#site.bucketAnswers();
    }
    const wanted = names.some((name) => name !== "bucket");
    if (wanted && (await this.#demo?.state())?.Status !== "running") await this.#start();
  }

  async killEverything(): Promise<void> {
    await Promise.all([this.#demo?.kill(), this.#site.bucket.kill()]);
  }

  async killMount(): Promise<void> {
    await this.#demo?.kill();
  }

  async wipeState(): Promise<void> {
    await this.#demo?.remove();
    this.#demo = undefined;
    await docker.ask(["volume", "rm", this.#state]);
  }

  async mountAgain(args: readonly string[] = []): Promise<ExtraMount> {
    this.#count += 1;
    const base = join(this.folder, `mount-${this.#count}`);
    const directory = join(base, "folder");
    await mkdir(directory, { recursive: true });
    const settings = this.#site.sidecar(["mount", bucketName, directory, ...args]);
    const shared = `--volume=${this.folder}:${this.folder}:rshared`;
    const container = await Container.run({ ...settings, flags: [...settings.flags!, shared] });
    const extra: ExtraMount = {
      directory,
      close: async () => {
        this.#extras.delete(extra);
        await container.stop();
        await container.remove();
        await unmountWithin(base);
        await rm(base, { recursive: true, force: true });
      },
    };
    this.#extras.add(extra);
    await eventually(`a mount at ${directory}`, () => {
      const said = container.logs().stdout;
      return (isFuseMount(directory) && said.includes(`"message":"mounted"`)) || undefined;
    });
    return extra;
  }

  async serve(uploads: string): Promise<{ url: string; close(): Promise<void> }> {
    this.#count += 1;
    const { web } = await freePorts();
    const settings = {
      place: placeBelow(join(this.folder, "web")),
      ports: { ...this.#ports, web },
      address: "127.0.0.1",
      admin: false,
      bucketName,
    };
    const service = webService(settings, `web-${this.#count}`, uploads);
    await service.start((failure) => this.#death.resolve(failure));
    return { url: `http://localhost:${web}`, close: () => service.stop() };
  }

  async scratch(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.folder, "tmp", name);
    await writeFile(path, content);
    return path;
  }

  async keepLogs(name: string): Promise<string> {
    const kept = join(projectDirectory, ".sidemount", "check-logs", `container-${name}`);
    await rm(kept, { recursive: true, force: true });
    await mkdir(kept, { recursive: true });
    for (const part of ["bucket", "app"] as const) {
      await writeFile(join(kept, `${part}.log`), this.service(part).said());
    }
    return kept;
  }

  async close(): Promise<void> {
    let code: number | undefined;
    try {
      await Promise.all([...this.#extras].map((extra) => extra.close()));
      code = await this.#demo?.stop();
    } finally {
      await this.#cleanups.run();
    }
    if (code !== 0) throw new Error(`the demo container ended with status ${code} when it was stopped`);
  }
}
