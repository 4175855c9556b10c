// The whole demo as one thing: local bucket server, mount, app and web server, started in this order and stopped
// in the other. The demo shows it to a person; the acceptance steps act on it as clients.

import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExtraMount, Part, Stage as ActedOn } from "../acceptance/stage.ts";
import { unmountWithin } from "./mounts.ts";
import {
  clear,
  furnish,
  openToAll,
  placeBelow,
  projectDirectory,
  serveDirectory,
  throughLibfuse,
  uploadsDirectory,
  type Place,
} from "./place.ts";
import { freePorts, type Ports } from "./ports.ts";
import type { Service, ServiceFailed } from "./service.ts";
import { appService, bucketService, mountService, webService, type ServiceSettings } from "./services.ts";

export const bucketName = "demo";

export interface StageOptions {
  readonly place: Place;
  readonly ports: Ports;
  /** Where the web server listens. */
  readonly address: string;
  /** Opens the bucket server's door for faults, delays and the request log. */
  readonly admin: boolean;
}

export class Stage implements ActedOn {
  readonly options: StageOptions;
  readonly #settings: ServiceSettings;
  readonly #services: Readonly<Record<Part, Service>>;
  readonly #extras = new Set<ExtraMount>();
  readonly #death = Promise.withResolvers<ServiceFailed>();
  readonly #removeAtEnd: string | undefined;
  #extraCount = 0;

  constructor(options: StageOptions, removeAtEnd?: string) {
    // The app and nginx's workers must be able to read what is made for them here.
    process.umask(0o022);
    this.options = options;
    this.#removeAtEnd = removeAtEnd;
    this.#settings = { ...options, bucketName };
    this.#services = {
      bucket: bucketService(this.#settings),
      mount: mountService(this.#settings, "mount", this.uploads, [
        "--state-dir",
        this.#state,
        ...(throughLibfuse ? [] : ["--serve", serveDirectory(options.place)]),
      ]),
      app: appService(this.#settings),
      web: webService(this.#settings),
    };
  }

  /** A stage of its own on free ports, in a temporary folder which is gone when it closes. Started. */
  static async temporary(): Promise<Stage> {
    const parent = (await openToAll(tmpdir())) ? tmpdir() : "/run";
    const directory = await mkdtemp(join(parent, "sidemount-check-"));
    await chmod(directory, 0o755);
    const options = {
      place: placeBelow(directory),
      ports: await freePorts(),
      address: "127.0.0.1",
      admin: true,
    };
    const stage = new Stage(options, directory);
    try {
      await stage.start();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** A mount's local state belongs to one endpoint: another port, another state. */
  get #state(): string {
    return join(this.options.place.state, `port-${this.options.ports.bucket}`);
  }

  get folder(): string {
    return this.options.place.run;
  }

  get uploads(): string {
    return uploadsDirectory(this.options.place);
  }

  /** The address visitors use. */
  get publicUrl(): string {
    return `http://localhost:${this.options.ports.web}`;
  }

  get appUrl(): string {
    return `http://127.0.0.1:${this.options.ports.app}`;
  }

  get bucketUrl(): string {
    return `http://127.0.0.1:${this.options.ports.bucket}`;
  }

  /** Resolves when something ends that nobody asked to end. */
  get death(): Promise<ServiceFailed> {
    return this.#death.promise;
  }

  service(name: Part): Service {
    return this.#services[name];
  }

  async start(signal?: AbortSignal): Promise<void> {
    await furnish(this.options.place);
    await this.#start(["bucket"], signal);
    await this.#start(["mount"], signal);
    await this.#start(["app", "web"], signal);
  }

  /** Starts again what `killEverything` or a step has ended. */
  async startAgain(names: readonly Part[]): Promise<void> {
    await this.#start(names);
  }

  async #start(names: readonly Part[], signal?: AbortSignal): Promise<void> {
    await Promise.all(
      names.map((name) => this.#services[name].start((failure) => this.#death.resolve(failure), signal)),
    );
  }

  /** Pulls the plug: nothing gets to finish anything. The dead mount is taken away, as a restart would do. */
  async killEverything(): Promise<void> {
    await Promise.all(Object.values(this.#services).map((service) => service.kill()));
    await this.#takeAwayDeadMounts();
  }

  /** Kills the mount alone. */
  async killMount(): Promise<void> {
    await this.#services.mount.kill();
    await this.#takeAwayDeadMounts();
  }

  async #takeAwayDeadMounts(): Promise<void> {
    await unmountWithin(this.uploads);
    await unmountWithin(serveDirectory(this.options.place));
  }

  /** Forgets all the mount knows locally, as a new machine would. It must not be running. */
  async wipeState(): Promise<void> {
    await rm(this.#state, { recursive: true, force: true });
  }

  /** Mounts the bucket a second time, with a state of its own. */
  async mountAgain(args: readonly string[] = []): Promise<ExtraMount> {
    this.#extraCount += 1;
    const name = `mount-${this.#extraCount}`;
    const base = join(this.options.place.run, name);
    const directory = join(base, "folder");
    await mkdir(directory, { recursive: true });
    const service = mountService(this.#settings, name, directory, [
      "--state-dir",
      join(base, "state"),
      ...args,
    ]);
    const extra: ExtraMount = {
      directory,
      close: async () => {
        this.#extras.delete(extra);
        await service.stop();
        await unmountWithin(base);
        await rm(base, { recursive: true, force: true });
      },
    };
    this.#extras.add(extra);
    await service.start((failure) => this.#death.resolve(failure));
    return extra;
  }

  /** A second web server in front of the same app, with another folder for `/uploads/`. */
  async serve(uploads: string): Promise<{ url: string; close(): Promise<void> }> {
    this.#extraCount += 1;
    const { web } = await freePorts();
    const settings = { ...this.#settings, ports: { ...this.options.ports, web } };
    const service = webService(settings, `web-${this.#extraCount}`, uploads);
    await service.start((failure) => this.#death.resolve(failure));
    return { url: `http://localhost:${web}`, close: () => service.stop() };
  }

  /** Stops everything in order: nobody loses the folder while still using it. Then nothing is left. */
  async close(): Promise<void> {
    const { web, app, mount, bucket } = this.#services;
    await web.stop();
    await app.stop();
    await Promise.all([...this.#extras].map((extra) => extra.close()));
    await mount.stop();
    await bucket.stop();
    await unmountWithin(this.options.place.run);
    await clear(this.options.place);
    if (this.#removeAtEnd) await rm(this.#removeAtEnd, { recursive: true, force: true });
  }

  /** Copies the logs to where they outlive a temporary stage. Answers where. */
  async keepLogs(name: string): Promise<string> {
    const kept = join(projectDirectory, ".sidemount", "check-logs", name);
    await rm(kept, { recursive: true, force: true });
    await cp(this.options.place.logs, kept, { recursive: true });
    return kept;
  }

  /** Writes a file below the run folder, for steps that need one. */
  async scratch(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.options.place.run, "tmp", name);
    await writeFile(path, content);
    return path;
  }
}
