/** Debian's control-file format: paragraphs of `Field: value`, continued by indented lines. Debian Policy §5.1. */

/** One paragraph; field names are in lower case. Continuation lines are kept, joined by newlines. */
export type Paragraph = ReadonlyMap<string, string>;

/** Parses one paragraph. Comment lines, and lines that are neither a field nor a continuation, are ignored. */
export function parseParagraph(text: string): Paragraph {
  const fields = new Map<string, string>();
  let name = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    if (/^[ \t]/.test(line)) {
      const before = fields.get(name);
      if (before !== undefined) fields.set(name, `${before}\n${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    name = line.slice(0, colon).toLowerCase();
    fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** Parses a file of paragraphs, which blank lines separate. */
export function parseParagraphs(text: string): Paragraph[] {
  return text
    .replaceAll("\r\n", "\n")
    .split(/\n[ \t]*\n/)
    .map(parseParagraph)
    .filter((paragraph) => paragraph.size > 0);
}
