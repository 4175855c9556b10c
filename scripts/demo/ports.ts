// The ports the demo listens on, all on this machine's own address unless told otherwise.

import { createServer, type AddressInfo } from "node:net";

export interface Ports {
  readonly web: number;
  readonly app: number;
  readonly bucket: number;
}

export const portSettings = {
  web: { variable: "SIDEMOUNT_DEMO_PORT", usual: 8080, what: "the web server" },
  app: { variable: "SIDEMOUNT_DEMO_APP_PORT", usual: 5000, what: "the app" },
  bucket: { variable: "SIDEMOUNT_DEMO_GCS_PORT", usual: 4443, what: "the local bucket server" },
} as const;

export class PortsUnusable extends Error {}

/** The ports the environment asks for, free and different, or a sentence for each that is not. */
export async function portsFrom(environment: NodeJS.ProcessEnv, address: string): Promise<Ports> {
  const ports: Record<string, number> = {};
  const complaints: string[] = [];
  for (const [key, { variable, usual, what }] of Object.entries(portSettings)) {
    const text = environment[variable] || String(usual);
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      complaints.push(`${variable} is "${text}": expected a port number from 1 to 65535.`);
    } else if (Object.values(ports).includes(port)) {
      complaints.push(`Port ${port} is asked for twice: give ${what} another one with ${variable}.`);
    } else if (!(await isFree(port, key === "web" ? address : "127.0.0.1"))) {
      complaints.push(
        `Port ${port}, for ${what}, is taken by another program. Choose another one:\n` +
          `  ${variable}=${port + 1} npm run demo`,
      );
    }
    ports[key] = port;
  }
  if (complaints.length > 0) throw new PortsUnusable(complaints.join("\n"));
  return ports as unknown as Ports;
}

function isFree(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Three ports nobody uses at the moment. */
export async function freePorts(): Promise<Ports> {
  // All are held before the first is let go: otherwise the same one may be handed out again.
  const servers = await Promise.all([0, 1, 2].map(() => listening()));
  const [web, app, bucket] = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { web: web!, app: app!, bucket: bucket! };
}

function listening(): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port: 0, host: "127.0.0.1" }, () => resolve(server));
  });
}
