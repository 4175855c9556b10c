// The folders the demo works in.

import { cp, chmod, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { mountsWithin } from "./mounts.ts";

export const projectDirectory = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Runs as nobody who exists: not root, not nginx's user. The number needs no entry in /etc/passwd. */
export const appUser = 20_000;

export interface Place {
  /** Objects and their metadata. Outlives the demo. */
  readonly bucket: string;
  /** Local copies of the mount. Outlives the demo. */
  readonly state: string;
  readonly logs: string;
  /** The rest, remade on every start: below it the app, its uploads folder, the configuration of nginx. */
  readonly run: string;
}

export const appDirectory = (place: Place): string => join(place.run, "app");
export const uploadsDirectory = (place: Place): string => join(place.run, "app", "uploads");
/** The same files for the web server, for reading only. */
export const serveDirectory = (place: Place): string => join(place.run, "serve");
/** Whoever starts the demo may choose the channel; the native one cannot serve the second folder. */
export const throughLibfuse = process.env["SIDEMOUNT_CHANNEL"] === "native";
/** Where the web server reads. */
export const webDirectory = (place: Place): string =>
  throughLibfuse ? uploadsDirectory(place) : serveDirectory(place);
export const temporaryDirectory = (place: Place): string => join(place.run, "tmp");
export const pidFile = (place: Place, name: string): string => join(place.run, "pids", `${name}.pid`);
export const logFile = (place: Place, name: string): string => join(place.logs, `${name}.log`);

/** The demo's place: `.sidemount/` in the checkout, as far as other users can get there. */
export async function demoPlace(): Promise<Place> {
  const home = join(projectDirectory, ".sidemount");
  return {
    bucket: join(home, "bucket"),
    state: join(home, "state"),
    logs: join(home, "logs"),
    // The app and nginx's workers are not root: below a closed folder (say, /root) they would find nothing.
    run: (await openToAll(projectDirectory)) ? join(home, "demo") : "/run/sidemount-demo",
  };
}

/** A place of its own below a fresh temporary folder. */
export function placeBelow(directory: string): Place {
  return {
    bucket: join(directory, "bucket"),
    state: join(directory, "state"),
    logs: join(directory, "logs"),
    run: join(directory, "run"),
  };
}

/** Whether every user may pass through this folder and all above it. */
export async function openToAll(directory: string): Promise<boolean> {
  if (((await stat(directory)).mode & 0o001) === 0) return false;
  const above = dirname(directory);
  return above === directory || openToAll(above);
}

/** Makes the folders and puts the app where it runs: a copy, with an empty `uploads/` beside it. */
export async function furnish(place: Place): Promise<void> {
  for (const directory of [place.bucket, place.state, place.logs])
    await mkdir(directory, { recursive: true });
  for (const name of ["app/uploads", "serve", "nginx", "pids"])
    await mkdir(join(place.run, name), { recursive: true });
  await mkdir(temporaryDirectory(place), { recursive: true });
  await chmod(temporaryDirectory(place), 0o1777);

  const source = join(projectDirectory, "demo-app");
  for (const name of ["app.py", "templates"]) {
    await cp(join(source, name), join(appDirectory(place), name), { recursive: true });
  }
  const left = await readdir(uploadsDirectory(place));
  if (left.length > 0) {
    throw new Error(
      `${uploadsDirectory(place)} should be empty before the bucket is mounted on it, but holds ${left.join(", ")}.\n` +
        "Move these files away and start again.",
    );
  }
}

/** Removes what `furnish` made below `run`, and nothing that a mount still shows or that someone put there. */
export async function clear(place: Place): Promise<void> {
  const mounted = mountsWithin(place.run);
  if (mounted.length > 0) throw new Error(`Still mounted: ${mounted.join(", ")}`);
  for (const name of ["app/app.py", "app/templates", "nginx", "pids", "tmp"]) {
    await rm(join(place.run, name), { recursive: true, force: true });
  }
  for (const name of ["app/uploads", "app", "serve", "."]) {
    await rmdir(join(place.run, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" && error.code !== "ENOTEMPTY") throw error;
    });
  }
}
