// The table of options as it stands in docs/OPTIONS.md.

import { optionKeys, specOf } from "./option-table.ts";

/** Markdown tables, one for each group, in the order of the option table. */
export function optionDocument(): string {
  const groups = Map.groupBy(optionKeys.map(specOf), (spec) => spec.group);
  return [...groups]
    .map(([group, specs]) => {
      const rows = specs.map((spec) => {
        const value = spec.placeholder === undefined ? "" : ` ${spec.placeholder.replaceAll("|", "\\|")}`;
        const flag = spec.negatable
          ? `\`--${spec.flag}\`, \`--no-${spec.flag}\``
          : `\`--${spec.flag}${value}\``;
        const fallback = spec.defaultWords ?? `\`${spec.default}\``;
        return `| ${flag} | \`${spec.environment}\` | ${fallback} | ${spec.help} |`;
      });
      return [
        `### ${group}`,
        "",
        "| option | environment | default | |",
        "| --- | --- | --- | --- |",
        ...rows,
      ].join("\n");
    })
    .join("\n\n");
}
