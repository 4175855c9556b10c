// What everything made for one run of the container tests is called, so that it can be found and removed.

/** Stages of the Dockerfile. */
export type Target = "packages" | "sidecar" | "demo";

const variable = "SIDEMOUNT_CONTAINER_RUN";

/** Gives this run, and the processes it starts from now on, its name. */
export function beginRun(): string {
  const name = `sidemount-test-${process.pid}`;
  process.env[variable] = name;
  return name;
}

export function runName(): string {
  const name = process.env[variable];
  if (name === undefined) throw new Error("These tests need images and an engine: npm run test:container");
  return name;
}

export function imageName(target: Target): string {
  return `${runName()}:${target}`;
}

/** For commands that make something. */
export function labels(): string[] {
  return ["--label", label()];
}

export function label(): string {
  return `sidemount-test=${runName()}`;
}
