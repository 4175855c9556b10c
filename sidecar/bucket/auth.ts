// Who we are to the service.
//
// Tokens come from Google's library and go into request headers; they are never logged and never sent to any
// other endpoint than Google's. The library caches and renews them; here, all who need a new one share one request.

import type { Storage } from "@google-cloud/storage";

import { isGoogle } from "./endpoint.ts";
import { BucketError } from "./errors.ts";

type GoogleAuth = Storage["authClient"];
type AuthClient = Awaited<ReturnType<GoogleAuth["getClient"]>>;
type Headers = Readonly<Record<string, string>>;

/** Where request headers that prove our identity come from. */
export interface Credentials {
  /** Loads the code it needs; asks nobody. On a busy machine that takes longer than a request may. */
  prepare?(): Promise<void>;
  headers(): Headers | Promise<Headers>;
  /** Headers to use instead of `rejected`, which the service answered with 401. */
  renewed(rejected: Headers): Promise<Headers>;
  /** The project they belong to; undefined if they do not say. */
  project?(): Promise<string | undefined>;
}

/** No Authorization header at all. */
export const anonymous: Credentials = {
  headers: () => ({}),
  renewed: () => Promise.resolve({}),
};

/** Application default credentials for Google's endpoints, none for any other. */
export function credentialsFor(endpoint: string): Credentials {
  return isGoogle(endpoint) ? new SharedCredentials(googleSource()) : anonymous;
}

/** What hands out headers, and can be told that they are no good any more. */
export interface HeaderSource {
  prepare?(): Promise<void>;
  project?(): Promise<string | undefined>;
  headers(): Promise<Record<string, string>>;
  expire(): Promise<void>;
}

/** Credentials over a source that is asked once at a time. */
export class SharedCredentials implements Credentials {
  readonly #source: HeaderSource;
  #asking: Promise<Headers> | undefined;
  #renewing: Promise<Headers> | undefined;

  constructor(source: HeaderSource) {
    this.#source = source;
  }

  async prepare(): Promise<void> {
    await this.#source.prepare?.();
  }

  async project(): Promise<string | undefined> {
    return this.#source.project?.();
  }

  headers(): Promise<Headers> {
    if (this.#renewing !== undefined) return this.#renewing;
    this.#asking ??= this.#source
      .headers()
      .catch((error: unknown) => Promise.reject(credentialsError(error)))
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async renewed(rejected: Headers): Promise<Headers> {
    const current = await this.headers();
    if (current["authorization"] !== rejected["authorization"]) return current; // someone else was first
    this.#renewing ??= this.#source
      .expire()
      .then(() => this.#source.headers())
      .catch((error: unknown) => Promise.reject(credentialsError(error)))
      .finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }
}

function googleSource(): HeaderSource {
  let auth: Promise<GoogleAuth> | undefined;
  const loaded = (): Promise<GoogleAuth> => (auth ??= loadGoogleAuth());
  const client = async (): Promise<AuthClient> => (await loaded()).getClient();
  return {
    async prepare() {
      await loaded();
    },
    // Asked of the environment, the key file, the configuration of gcloud and the metadata server, in this order. Where
    // none knows the library throws a plain error.
    project: async () => (await loaded()).getProjectId().catch(() => undefined),
    async headers() {
      const given = await (await client()).getRequestHeaders();
      // Authorization, and for a person's own credentials the project to charge: x-goog-user-project.
      return Object.fromEntries(
        Object.entries(given).map(([name, value]) => [name.toLowerCase(), String(value)]),
      );
    },
    async expire() {
      const known = await client();
      known.setCredentials({ ...known.credentials, expiry_date: 1 });
    },
  };
}

// Loaded only when it is needed: it takes longer to load than everything else of ours together.
async function loadGoogleAuth(): Promise<GoogleAuth> {
  const { Storage } = await import("@google-cloud/storage");
  // STORAGE_EMULATOR_HOST would change the library's addresses whatever it is given (GCS.md §3.2). None of its
  // addresses is used: only the credentials are, and for Google's own endpoint only, decided in endpoint.ts.
  return new Storage().authClient;
}

/** How to give credentials, for messages to people. */
export const credentialsRemedy =
  "On a Google VM, Cloud Run or Kubernetes give it a service account; elsewhere run " +
  "`gcloud auth application-default login` or set GOOGLE_APPLICATION_CREDENTIALS to a key file";

// The library throws plain errors. One that comes from the network has a status or a code: then the place tokens
// come from is not well, which passes. Any other means that there are no usable credentials: none at all, a key
// file that is not there (its code comes from the file system), a key that is refused.
function credentialsError(error: unknown): BucketError {
  if (error instanceof BucketError) return error;
  const { status, code } = networkFacts(error);
  const passes =
    status === undefined ? code !== undefined : status === 408 || status === 429 || status >= 500;
  if (passes) {
    return new BucketError(
      "unavailable",
      "no token could be had: the service that issues them did not answer",
      {
        status,
        cause: error,
      },
    );
  }
  return new BucketError("unauthenticated", `no usable Google credentials were found. ${credentialsRemedy}`, {
    status,
    cause: error,
  });
}

/** A library's message up to its first full stop, on one line. */
export function firstSentence(text: string): string {
  return (/^.*?(?=\.\s|\.?$)/s.exec(text)?.[0] ?? text).replace(/\s+/g, " ").trim();
}

function networkFacts(error: unknown): { status: number | undefined; code: string | undefined } {
  const { response, code, path } = error as {
    response?: { status?: unknown };
    code?: unknown;
    path?: unknown;
  };
  const ofFile = typeof path === "string";
  return {
    status: typeof response?.status === "number" ? response.status : undefined,
    code: typeof code === "string" && !ofFile && /^(E(?!RR_)[A-Z]|UND_ERR)/.test(code) ? code : undefined,
  };
}
