// nginx/nginx.conf with the demo's values in the lines it marks for that.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { projectDirectory, throughLibfuse } from "./place.ts";

export interface NginxValues {
  readonly listen: string;
  readonly app: string;
  readonly uploads: string;
  /** A folder for its pid file and what it sets aside. */
  readonly directory: string;
}

const marked = /^(?<indent>\s*)\S.*;\s*# demo: (?<key>\w+)$/gm;

export async function nginxConfiguration(values: NginxValues): Promise<string> {
  const replacements: Record<string, string> = {
    pid: `pid "${values.directory}/nginx.pid";`,
    body: `client_body_temp_path "${values.directory}/body";`,
    proxy: `proxy_temp_path "${values.directory}/proxy";`,
    listen: `listen ${values.listen} default_server;`,
    uploads: `alias "${values.uploads}/";`,
    app: `proxy_pass http://${values.app};`,
    // Through libfuse 2, sendfile takes from pages that all versions of a name share (docs/CHANNELS.md).
    sendfile: throughLibfuse ? "sendfile off;" : "sendfile on;",
  };
  const shipped = await readFile(join(projectDirectory, "nginx", "nginx.conf"), "utf8");
  const missing = new Set(Object.keys(replacements));
  const text = shipped.replace(marked, (_, indent: string, key: string) => {
    if (!missing.delete(key))
      throw new Error(`nginx.conf marks "${key}" twice, or it is not a value of the demo`);
    return indent + replacements[key];
  });
  if (missing.size > 0) throw new Error(`nginx.conf marks no line for ${[...missing].join(", ")}`);
  return text;
}
