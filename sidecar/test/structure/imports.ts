// What a source imports, and whether it may.

import path from "node:path";

import { doors, layers, shared } from "./layers.ts";
import type { Source } from "./sources.ts";

const forms = [
  /^\s*(?:import|export)\s[^;"']*?from\s*["']([^"']+)["']/gm,
  /^\s*import\s*["']([^"']+)["']/gm,
  /\bimport\(\s*["']([^"']+)["']\s*\)/g,
  /\brequire\)?\(\s*["']([^"']+)["']\s*\)/g,
  /createRequire\(import\.meta\.url\)\(\s*["']([^"']+)["']\s*\)/g,
  // Threads are started by address.
  /\b(?:new Worker|startThread)\(\s*new URL\(\s*["'](\.[^"']+\.ts)["']\s*,\s*import\.meta\.url\s*\)/g,
];

/** Module names as written, in code but not in comments. */
export function importsOf(text: string): string[] {
  const code = text.replace(/^\s*\/\/.*$/gm, "").replace(/\/\*[^]*?\*\//g, "");
  return [...new Set(forms.flatMap((form) => [...code.matchAll(form)].map((match) => match[1]!)))];
}

/** A sentence for each import of `source` which the table does not allow. */
export function faultsOf(source: Source): string[] {
  return importsOf(source.text).flatMap((name) => {
    const fault = name.startsWith(".") ? upwardFault(source.path, name) : doorFault(source.path, name);
    return fault === undefined ? [] : [fault];
  });
}

function upwardFault(from: string, name: string): string | undefined {
  const to = path.posix.join(path.posix.dirname(from), name);
  const layer = layerOf(from);
  if (layer === undefined) return `\`${from}\` belongs to no layer: give it a place in layers.ts`;
  if (to.startsWith("../") || layerOf(to) === layer) return undefined;
  const allowed = [...layers[layer]!, ...(shared.includes(layer) ? [] : shared)];
  if (allowed.some((each) => isWithin(to, each))) return undefined;
  const may = allowed.length === 0 ? "nothing of the others" : allowed.join(", ");
  return `\`${from}\` imports \`${to}\`: ${layer} may import ${may}`;
}

function doorFault(from: string, name: string): string | undefined {
  const parts = name.split("/");
  const packageName = name.startsWith("@") ? parts.slice(0, 2).join("/") : parts[0]!;
  const key = name.startsWith("node:") ? name : packageName;
  const doorsOf = doors[key];
  if (doorsOf === undefined) {
    return name.startsWith("node:")
      ? undefined
      : `\`${from}\` imports ${key}, which has no door in layers.ts`;
  }
  if (doorsOf.some((door) => isWithin(from, door))) return undefined;
  return `\`${from}\` imports ${key}: only ${doorsOf.join(" and ")} may`;
}

function layerOf(file: string): string | undefined {
  return Object.keys(layers).find((layer) => isWithin(file, layer));
}

function isWithin(file: string, place: string): boolean {
  return file === place || (!place.endsWith(".ts") && file.startsWith(`${place}/`));
}
