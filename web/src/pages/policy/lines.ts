// The difference of two texts, line by line.

export interface Line {
  kind: "same" | "added" | "gone" | "gap"; // gap: lines that are the same are left out
  text: string;
  before: number | undefined; // number of the line in the older text
  after: number | undefined; // in the newer one
}

/** The lines of a difference in the unified format. */
export function linesOf(unified: string): Line[] {
  const lines: Line[] = [];
  let before = 0;
  let after = 0;
  for (const line of unified.split("\n")) {
    const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/.exec(line);
    if (head !== null) {
      before = Number(head[1]);
      after = Number(head[2]);
      lines.push({kind: "gap", text: `line ${after}`, before: undefined, after: undefined});
    } else if (before === 0 && after === 0) {
      continue; // the names of the texts
    } else if (line.startsWith("+")) {
      lines.push({kind: "added", text: line.slice(1), before: undefined, after: after++});
    } else if (line.startsWith("-")) {
      lines.push({kind: "gone", text: line.slice(1), before: before++, after: undefined});
    } else if (line.startsWith(" ")) {
      lines.push({kind: "same", text: line.slice(1), before: before++, after: after++});
    }
  }
  return lines;
}
