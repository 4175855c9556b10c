// What the steps act on: an app, its web server, its mount and a bucket, wherever they run. `demo/stage.ts` has
// them as programs of this machine, `sidecar/test/container/container-stage.ts` as containers.

export type Part = "bucket" | "mount" | "app" | "web";

/** One of the programs. */
export interface StagedProgram {
  /** What it has written since it was last started. */
  said(): string;
  /** Ends it in the middle of whatever it does, as a power cut would. */
  kill(): Promise<void>;
}

/** Another mount of the same bucket, as another machine would have it. */
export interface ExtraMount {
  readonly directory: string;
  close(): Promise<void>;
}

/** Something ended although nobody asked it to. */
export interface Death {
  readonly message: string;
  readonly service: Pick<StagedProgram, "said">;
}

export interface Stage {
  /** The address visitors use. */
  readonly publicUrl: string;
  readonly appUrl: string;
  readonly bucketUrl: string;
  /** The app's folder, as programs of this machine see it. */
  readonly uploads: string;
  /** A local folder for what steps make. */
  readonly folder: string;
  /** Resolves when something ends that nobody asked to end. */
  readonly death: Promise<Death>;

  service(name: Part): StagedProgram;
  /** Starts again what `killEverything` or a step has ended. */
  startAgain(names: readonly Part[]): Promise<void>;
  /** Pulls the plug: nothing gets to finish anything. */
  killEverything(): Promise<void>;
  /** Kills the mount, and what cannot live without it. */
  killMount(): Promise<void>;
  /** Forgets all the mount knows locally, as a new machine would. It must not be running. */
  wipeState(): Promise<void>;
  /** Mounts the bucket a second time, with a state of its own. */
  mountAgain(args?: readonly string[]): Promise<ExtraMount>;
  /** A second web server in front of the same app, with another folder for `/uploads/`. */
  serve(uploads: string): Promise<{ readonly url: string; close(): Promise<void> }>;
  /** Writes a local file for a step that needs one. Answers with its path. */
  scratch(name: string, content: string | Uint8Array): Promise<string>;
  /** Copies the logs to where they outlive the stage. Answers where. */
  keepLogs(name: string): Promise<string>;
  /** Ends everything and leaves nothing. */
  close(): Promise<void>;
}
