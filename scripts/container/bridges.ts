// The bridges of our networks, and a way for them through a firewall that forwards nothing by itself, as one does
// on which Docker once ran.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";

const run = promisify(execFile);

const prefix = "smt-";
// "+" stands for the rest of the name.
const rule = ["FORWARD", "--in-interface", `${prefix}+`, "--out-interface", `${prefix}+`, "--jump", "ACCEPT"];

/** Options of `docker network create`. The name of an interface has 15 characters at most. */
export function bridgeOptions(): string[] {
  return [`--opt=com.docker.network.bridge.name=${prefix}${randomBytes(5).toString("hex")}`];
}

/** For an engine that leaves the firewall alone. Answers with what takes the rule away again. */
export async function letBridgesThrough(): Promise<() => Promise<void>> {
  const { stdout } = await run("iptables", ["--list-rules", "FORWARD"]).catch(() => ({ stdout: "" }));
  if (!stdout.includes("-P FORWARD DROP")) return () => Promise.resolve();
  await run("iptables", ["--insert", ...rule]);
  return async () => void (await run("iptables", ["--delete", ...rule]));
}
