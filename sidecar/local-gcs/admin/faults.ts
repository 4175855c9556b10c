// Failures that tests ask for: what can go wrong with a request, and rules that choose the requests.

/** `afterBytes` counts bytes of the object in an upload, bytes of the body in a download. */
export type FaultAction =
  | { readonly kind: "status"; readonly status: number; readonly afterBytes?: number | undefined }
  | { readonly kind: "reset" }
  | { readonly kind: "broken-stream"; readonly afterBytes: number }
  | { readonly kind: "stall"; readonly seconds: number; readonly afterBytes: number }
  /** The call is carried out; its answer never arrives. */
  | { readonly kind: "lost-answer" }
  /** The client loses its connection once all has arrived; an insert in one request is carried out so much later. */
  | { readonly kind: "late"; readonly seconds: number };

/** A failure that is in store for a request. */
export interface Fault {
  readonly action: FaultAction;
  /** Uses it up as it strikes; false if other requests have used it up before. */
  take(): boolean;
}

/** What a rule is held against. */
export interface FaultSubject {
  readonly method: string;
  readonly bucket: string;
  readonly object: string;
}

export interface FaultRule {
  /** `storage.objects.insert` and the like; `*` or absent: all. */
  readonly method?: string;
  readonly bucket?: string;
  /** The object's name; with a `*` at the end, what it starts with. */
  readonly name?: string;
  readonly action: string;
  /** How often it strikes; absent: always. */
  readonly count?: number;
  /** Share of matching requests that it strikes, 0–1. */
  readonly fraction?: number;
}

/** Reads `return-503`, `return-503-after-256K`, `return-reset-connection`, `return-broken-stream-after-64K`,
 *  `stall-for-2s-after-128K`, `lost-answer` or `late-by-3s`; undefined for anything else. */
export function parseFaultAction(text: string): FaultAction | undefined {
  if (text === "lost-answer") return { kind: "lost-answer" };
  if (text === "return-reset-connection") return { kind: "reset" };
  const late = /^late-by-(\d+(?:\.\d+)?)s$/.exec(text)?.[1];
  if (late !== undefined) return { kind: "late", seconds: Number(late) };
  const [, status, broken, seconds, kibibytes] =
    /^(?:return-(?:([1-5]\d\d)|(broken-stream))|stall-for-(\d+(?:\.\d+)?)s)(?:-after-(\d+)K)?$/.exec(text) ??
    [];
  const afterBytes = kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
  if (status !== undefined) return { kind: "status", status: Number(status), afterBytes };
  if (broken !== undefined) return { kind: "broken-stream", afterBytes: afterBytes ?? 0 };
  if (seconds !== undefined) return { kind: "stall", seconds: Number(seconds), afterBytes: afterBytes ?? 0 };
  return undefined;
}

/** Rules for all requests, in the order they were given; the first that strikes is the one. */
export class FaultRules {
  #rules: LiveRule[] = [];

  /** Throws a RangeError for an action that does not exist. */
  add(rules: readonly FaultRule[]): void {
    this.#rules.push(...rules.map((rule) => new LiveRule(rule)));
  }

  /** Those of one bucket, or all. */
  clear(bucket?: string): void {
    this.#rules = this.#rules.filter(({ rule }) => bucket !== undefined && rule.bucket !== bucket);
  }

  /** The rules with the number of times each may still strike. */
  get remaining(): (FaultRule & { struck: number })[] {
    return this.#rules.map(({ rule, left, struck }) => ({
      ...rule,
      ...(left === Infinity ? {} : { count: left }),
      struck,
    }));
  }

  match(subject: FaultSubject): Fault | undefined {
    return this.#rules.find((rule) => rule.strikes(subject));
  }
}

class LiveRule implements Fault {
  readonly rule: FaultRule;
  readonly action: FaultAction;
  left: number;
  struck = 0;

  constructor(rule: FaultRule) {
    const action = parseFaultAction(rule.action);
    if (action === undefined) throw new RangeError(`Unknown action: ${rule.action}`);
    this.rule = rule;
    this.action = action;
    this.left = rule.count ?? Infinity;
  }

  strikes({ method, bucket, object }: FaultSubject): boolean {
    const { rule } = this;
    if (this.left <= 0) return false;
    if (rule.method !== undefined && rule.method !== "*" && rule.method !== method) return false;
    if (rule.bucket !== undefined && rule.bucket !== bucket) return false;
    if (rule.name !== undefined && !matchesName(rule.name, object)) return false;
    return Math.random() < (rule.fraction ?? 1);
  }

  take(): boolean {
    if (this.left <= 0) return false;
    this.left -= 1;
    this.struck += 1;
    return true;
  }
}

function matchesName(pattern: string, name: string): boolean {
  return name === pattern || (pattern.endsWith("*") && name.startsWith(pattern.slice(0, -1)));
}
