// A bucket, a mount of it, a plain folder, and four programs: A and B on the mount, A and B on the plain folder.

import { rm, mkdtemp, mkdir, chmod } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { BucketServer } from "../helpers/bucket-server.ts";
import { Cleanups } from "../helpers/cleanups.ts";
import { mounted, type Mount } from "../helpers/mounted.ts";
import { Client } from "./clients.ts";

/** B works as somebody who is not root, where the channel knows who calls. */
const OTHER_USER = 4321;

export type Who = "A" | "B";

/** How the folder is mounted. */
export interface Settings {
  readonly channel: "device" | "native";
  readonly passthrough: boolean;
  /** `--freshness`, or the promise that nobody else writes. */
  readonly trust: "0s" | "60s" | "sole-writer";
  /** Acknowledged is what the local disk has; the bucket has it a little later. */
  readonly writeBack?: boolean;
}

export function isSame(one: Settings, other: Settings): boolean {
  return wordsOf(one).join(" ") === wordsOf(other).join(" ");
}

export function wordsOf({ channel, passthrough, trust, writeBack }: Settings): string[] {
  return [
    "--channel",
    channel,
    // Alone with the folder: what others may do with what is made is another matter (SEMANTICS, Who makes a file).
    ...(channel === "native" ? ["--no-allow-other"] : ["--passthrough", passthrough ? "on" : "off"]),
    ...(trust === "sole-writer" ? ["--sole-writer"] : ["--freshness", trust]),
    ...(writeBack === true ? ["--write-back"] : []),
  ];
}

export class World {
  readonly server: BucketServer;
  readonly mount: Mount;
  readonly plain: string;
  readonly onMount: Record<Who, Client>;
  readonly onPlain: Record<Who, Client>;
  /** Whether the bucket has folders of its own. */
  readonly hierarchical: boolean;
  readonly #cleanups: Cleanups;
  #settings: Settings;
  #folders = 0;

  private constructor(
    parts: { server: BucketServer; mount: Mount; plain: string; hierarchical: boolean },
    settings: Settings,
    cleanups: Cleanups,
  ) {
    this.server = parts.server;
    this.mount = parts.mount;
    this.plain = parts.plain;
    this.hierarchical = parts.hierarchical;
    this.#settings = settings;
    this.#cleanups = cleanups;
    const other = settings.channel === "device" ? OTHER_USER : undefined;
    this.onMount = { A: new Client(), B: new Client(other) };
    this.onPlain = { A: new Client(), B: new Client(other) };
    cleanups.teardown(() => this.killClients());
  }

  static async make(settings: Settings, hierarchical: boolean): Promise<World> {
    const cleanups = new Cleanups();
    const server = await BucketServer.start(cleanups, { hierarchical });
    const mount = await mounted(cleanups, server, []).catch(async (error: unknown) => {
      await cleanups.run();
      throw error;
    });
    const plain = await mkdtemp(path.join(os.tmpdir(), "sidemount-plain-"));
    await chmod(plain, 0o755);
    cleanups.teardown(() => rm(plain, { recursive: true, force: true }));
    const world = new World({ server, mount, plain, hierarchical }, settings, cleanups);
    await world.remount(settings);
    return world;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Stops and mounts again, with everything kept or without what the last mount had on the disk of this machine. */
  async remount(settings: Settings, state: "kept" | "dropped" = "kept"): Promise<number | null> {
    const code = await this.mount.stop();
    if (state === "dropped") await rm(this.mount.stateDirectory, { recursive: true, force: true });
    await this.start(settings);
    return code;
  }

  async start(settings: Settings): Promise<void> {
    this.#settings = settings;
    await this.mount.start(wordsOf(settings));
  }

  /** A new folder in both places; answers its name. Whoever works there finds it empty. */
  async freshFolder(): Promise<string> {
    const top = `run-${(this.#folders += 1)}`;
    await mkdir(path.join(this.plain, top));
    await chmod(path.join(this.plain, top), 0o777);
    for (const who of ["A", "B"] as const) {
      await this.onPlain[who].goTo(path.join(this.plain, top));
      await this.onMount[who].goTo(this.mount.path(top));
    }
    const { A } = this.onMount;
    for (const call of ["make_folder", "change_mode"]) {
      const answer = await A.ask({ call, path: "", mode: 0o777 });
      if ("errno" in answer) throw new Error(`the folder of the run: ${answer.errno}`);
    }
    return top;
  }

  async killClients(): Promise<void> {
    for (const client of [...Object.values(this.onMount), ...Object.values(this.onPlain)])
      await client.kill();
  }

  async end(): Promise<void> {
    await this.#cleanups.run();
  }
}
