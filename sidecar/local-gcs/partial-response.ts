// The `fields` parameter: which parts of a JSON answer a client wants, e.g. `items(name,size),nextPageToken`.

import { invalid } from "./api-error.ts";

/** Wanted members and what is wanted of each; `true` is all of it. */
export type Selection = Map<string, Selection | true>;

/** Reads `a,b/c,d(e,f/g)`. */
export function parseFields(text: string): Selection {
  const parser = { text, at: 0 };
  const selection = parseList(parser);
  if (parser.at < text.length) throw badFields(text);
  return selection;
}

/** Keeps of `value` what `selection` names; lists are filtered element by element. */
export function selectFields(value: unknown, selection: Selection | true): unknown {
  if (selection === true || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((element) => selectFields(element, selection));
  const kept: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const wanted = selection.get(name) ?? selection.get("*");
    if (wanted !== undefined) kept[name] = selectFields(member, wanted);
  }
  return kept;
}

interface Parser {
  readonly text: string;
  at: number;
}

function parseList(parser: Parser): Selection {
  const selection: Selection = new Map();
  for (;;) {
    const [name, wanted] = parsePath(parser);
    merge(selection, name, wanted);
    if (parser.text[parser.at] !== ",") return selection;
    parser.at += 1;
  }
}

function parsePath(parser: Parser): [string, Selection | true] {
  const [name] = /^\s*[\w*.-]+\s*/.exec(parser.text.slice(parser.at)) ?? [];
  if (name === undefined) throw badFields(parser.text);
  parser.at += name.length;
  return [name.trim(), parseMembers(parser)];
}

function parseMembers(parser: Parser): Selection | true {
  const next = parser.text[parser.at];
  if (next !== "/" && next !== "(") return true;
  parser.at += 1;
  if (next === "/") return new Map([parsePath(parser)]);
  const members = parseList(parser);
  if (parser.text[parser.at] !== ")") throw badFields(parser.text);
  parser.at += 1;
  return members;
}

function merge(selection: Selection, name: string, wanted: Selection | true): void {
  const known = selection.get(name);
  if (known === undefined || known === true || wanted === true) {
    selection.set(name, known === true ? true : wanted);
  } else {
    for (const [member, inner] of wanted) merge(known, member, inner);
  }
}

function badFields(text: string): Error {
  return invalid(`Invalid field selection ${text}`);
}
