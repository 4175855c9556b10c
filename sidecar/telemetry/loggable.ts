// Fields of a log line as JSON can carry them: bigints as text, errors with their meaning, nothing secret.

// Names of fields whose values are credentials, whatever they look like.
const secretName =
  /^(proxy-)?authorization$|cookie$|token$|secret|password|private_?key|api_?key|encryption-?key|^credentials?$/i;

// Deeper, or longer, is a mistake in the call; a log line is read by people.
const deepest = 6;
const longestList = 100;

/** A copy of `fields` that can be written as JSON and holds no credentials. */
export function loggable(fields: object): Record<string, unknown> {
  return fieldsOf(fields, deepest);
}

function fieldsOf(fields: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    secretName.test(name) && value !== undefined ? "[redacted]" : valueOf(name, value, depth - 1),
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function valueOf(name: string, value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number")
    return name === "ms" || name.endsWith("Ms") ? Math.round(value * 10) / 10 : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth < 0) return "…";
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof URL || value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (value instanceof Map) return fieldsOf(Object.fromEntries(value) as object, depth);
  if (Array.isArray(value) || value instanceof Set) {
    return [...(value as Iterable<unknown>)]
      .slice(0, longestList)
      .map((item) => valueOf(name, item, depth - 1));
  }
  return fieldsOf(value, depth);
}

// An error of ours says what happened by its name; of any other one the place it comes from matters.
function errorFields(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause, ...rest } = ownFields(error);
  const type = typeof name === "string" ? name : error.name;
  const ours = "kind" in error || !(type in globalThis);
  return {
    type,
    message,
    ...fieldsOf(rest, depth),
    ...(cause === undefined ? {} : { cause: valueOf("cause", cause, depth - 1) }),
    ...(ours || stack === undefined ? {} : { stack }),
  };
}

function ownFields(error: Error): Record<string, unknown> {
  const { message, stack, cause } = error;
  return { ...Object.fromEntries(Object.entries(error)), message, stack, cause };
}
