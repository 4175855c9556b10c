// Draws sequences of operations until the time is over or one of them shows a difference, which is then made as short
// as it can be.

import fc from "fast-check";
import type { Step } from "./operation.ts";
import { step } from "./operations/table.ts";
import { Difference, Run } from "./run.ts";
import { isSame, World, wordsOf, type Settings } from "./world.ts";

/** Sequences that share one seed and one way of mounting. */
const RUNS_IN_BATCH = 20;
const LONGEST_RUN = 80;
/** Making a failure shorter is given up then. */
const SHRINKING_MS = 240_000;

export interface Exploration {
  readonly seed: number;
  readonly minutes: number;
  /** Of a failure to see again, as it was printed. */
  readonly path: string | undefined;
  /** By which batches are mounted in turn. */
  readonly settings: readonly Settings[];
  /** Which kind of bucket is mounted. */
  readonly hierarchical: boolean;
  readonly say: (text: string) => void;
}

export interface Explored {
  readonly runs: number;
  readonly calls: number;
  /** What was found, to be read by a person; undefined if nothing was. */
  readonly failure: string | undefined;
}

interface Failure {
  readonly script: readonly string[];
  readonly difference: string;
  readonly settings: Settings;
  readonly log: readonly string[];
}

export class Explorer {
  readonly #options: Exploration;
  readonly #failures: Failure[] = [];
  #world: World | undefined;
  #giveUpMs = Number.POSITIVE_INFINITY;
  #endMs = Number.POSITIVE_INFINITY;
  #runs = 0;
  #calls = 0;

  constructor(options: Exploration) {
    this.#options = options;
  }

  async explore(): Promise<Explored> {
    const { seed, minutes, path } = this.#options;
    this.#endMs = performance.now() + minutes * 60_000;
    try {
      for (let batch = seed; performance.now() < this.#endMs; batch += 1) {
        const failure = await this.#batch(batch, path);
        if (failure !== undefined || path !== undefined) return this.#outcome(failure);
      }
      return this.#outcome(undefined);
    } finally {
      await this.#world?.end();
    }
  }

  #outcome(failure: string | undefined): Explored {
    return { runs: this.#runs, calls: this.#calls, failure };
  }

  async #batch(seed: number, path: string | undefined): Promise<string | undefined> {
    const { settings } = this.#options;
    const mountedAs = settings[seed % settings.length] as Settings;
    const steps = fc.array(step, { minLength: 1, maxLength: LONGEST_RUN, size: "max" });
    const property = fc.asyncProperty(steps, (each) => this.#try(each, mountedAs));
    const details = await fc.check(property, {
      seed,
      numRuns: RUNS_IN_BATCH,
      ...(path === undefined ? {} : { path }),
    });
    if (!details.failed) return undefined;
    return this.#report(seed, details.counterexamplePath ?? "", details.numShrinks);
  }

  /** Throws a Difference if there is one. */
  async #try(steps: readonly Step[], settings: Settings): Promise<void> {
    const failed = this.#failures.length > 0;
    if (performance.now() > (failed ? this.#giveUpMs : this.#endMs)) return;
    const world = await this.#worldFor(settings);
    world.mount.lines.length = 0;
    const run = await Run.begin(world);
    this.#runs += 1;
    try {
      for (const each of steps) await each.act(run);
      await run.end();
    } catch (error) {
      if (!failed) this.#giveUpMs = performance.now() + SHRINKING_MS;
      if (!failed) this.#options.say(`found something, making it shorter: ${messageOf(error)}`);
      this.#failures.push({
        script: run.script,
        difference: messageOf(error),
        settings,
        log: world.mount.lines
          .filter(({ level }) => level !== "info" && level !== "debug")
          .map((line) => JSON.stringify(line)),
      });
      await this.#leave(world);
      throw error;
    } finally {
      this.#calls += run.calls;
    }
  }

  async #worldFor(settings: Settings): Promise<World> {
    this.#world ??= await World.make(settings, this.#options.hierarchical);
    if (!isSame(this.#world.settings, settings)) await this.#world.remount(settings);
    return this.#world;
  }

  /** Nothing of a run that failed may be part of the next. */
  async #leave(world: World): Promise<void> {
    this.#world = undefined;
    await world.killClients();
    await world.mount.kill().catch(() => undefined);
    await world.end();
  }

  #report(seed: number, path: string, shrinks: number): string {
    const [first] = this.#failures;
    const last = this.#failures.at(-1);
    if (first === undefined || last === undefined) return "failed without a trace";
    return [
      ``,
      `Mounted with ${wordsOf(last.settings).join(" ")}; after ${shrinks} times shorter:`,
      ...last.script.map((line) => `  ${line}`),
      last.difference,
      ...last.log.map((line) => `  log: ${line}`),
      ...(first.difference === last.difference
        ? []
        : ["At first it was:", ...first.script, first.difference]),
      `To see it again: npm run test:model -- --seed ${seed} --path ${path} --channel ${last.settings.channel}${
        this.#options.hierarchical ? " --bucket hierarchical" : ""
      }`,
    ].join("\n");
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Difference) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
