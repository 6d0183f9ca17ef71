// Where a position in a policy's text is: in which field, and what may be written there. The text is being typed, so it is
// most often no YAML yet; indentation and brackets up to the position tell all the same.

export type Part = string | number; // a field's name, or the number of an item

export interface Spot {
  path: readonly Part[]; // of the mapping whose field is typed, or of the value
  of: "field" | "value";
  from: number; // where the word begins that is typed
  there: readonly string[]; // fields that the mapping has already
  indent: number; // of the line; within brackets -1
}

/** Where the position is; undefined: in a comment, in a quoted or in a folded text, where nothing can be completed. */
export function spotAt(text: string, position: number): Spot | undefined {
  const scan = new Scan();
  const begin = text.lastIndexOf("\n", position - 1) + 1;
  for (const line of text.slice(0, begin).split("\n").slice(0, -1)) {
    scan.line(line);
  }
  const typed = text.slice(begin, position);
  const spot = scan.spot(typed, begin);
  if (spot === undefined || spot.of === "value" || spot.indent < 0) {
    return spot;
  }
  const after = text.indexOf("\n", position);
  return {...spot, there: [...spot.there, ...following(after < 0 ? "" : text.slice(after + 1), spot.indent)]};
}

// Private

interface Level {
  indent: number; // within brackets -1
  items: boolean; // a list, not a mapping
  at: number; // number of the item
  field: string | undefined; // whose value comes
  fields: string[];
}

const key = /^("[^"]*"|'[^']*'|[^\s#:{}[\],'"][^:#{}[\],]*?)\s*:(?=\s|$)/;

class Scan {
  private levels: Level[] = [];
  private folded: number | undefined; // a text goes on as long as lines are indented more than this
  private quote = ""; // within brackets: the quote that is open

  private get top(): Level | undefined {
    return this.levels.at(-1);
  }

  private get inBrackets(): boolean {
    return this.top?.indent === -1;
  }

  /** Goes on by one whole line. */
  line(line: string): void {
    if (this.inBrackets) {
      this.brackets(line);
      return;
    }
    if (/^\s*(#|$)/.test(line) || this.isFolded(line)) {
      return;
    }
    this.block(line);
  }

  /** Where the end of the last line is. begin is where that line begins in the text. */
  spot(typed: string, begin: number): Spot | undefined {
    if (!this.inBrackets) {
      if (this.isFolded(typed) && typed.trim() !== "") {
        return undefined;
      }
      const rest = this.block(typed);
      if (rest !== undefined && !this.inBrackets) {
        return this.blockSpot(rest, typed, begin);
      }
      if (!this.inBrackets) {
        return undefined;
      }
    } else {
      this.brackets(typed);
      if (!this.inBrackets) {
        return undefined; // behind the last bracket
      }
    }
    if (this.quote !== "" || /(^|\s)#[^"']*$/.test(typed)) {
      return undefined;
    }
    const word = /[^\s,{}[\]:"']*$/.exec(typed)?.[0] ?? "";
    const top = this.top!;
    const from = begin + typed.length - word.length;
    if (!top.items && top.field === undefined) {
      return {path: this.path(this.levels.slice(0, -1)), of: "field", from, there: top.fields, indent: -1};
    }
    return {path: this.path(this.levels), of: "value", from, there: [], indent: -1};
  }

  private isFolded(line: string): boolean {
    if (this.folded !== undefined && line.trim() !== "" && indentOf(line) <= this.folded) {
      this.folded = undefined;
    }
    return this.folded !== undefined;
  }

  // Takes in a line outside of brackets; gives what of it is neither dash nor field: where it stands and what it is.
  private block(line: string): {text: string; indent: number; value: boolean} | undefined {
    let indent = indentOf(line);
    let text = line.slice(indent);
    for (;;) {
      const dash = /^-(\s+|$)/.exec(text);
      this.leave(indent, dash !== null);
      if (dash === null) {
        break;
      }
      if (this.top?.items === true && this.top.indent === indent) {
        this.top.at++;
      } else {
        this.levels.push({indent, items: true, at: 0, field: undefined, fields: []});
      }
      indent += dash[0].length;
      text = text.slice(dash[0].length);
    }
    const field = key.exec(text);
    if (field?.[1] === undefined) {
      return this.opens(text) ? undefined : {text, indent, value: false};
    }
    if (this.top === undefined || this.top.items || this.top.indent !== indent) {
      this.levels.push({indent, items: false, at: 0, field: undefined, fields: []});
    }
    const name = field[1].replace(/^["']|["']$/g, "");
    this.top!.field = name;
    this.top!.fields.push(name);
    const value = text.slice(field[0].length);
    if (/^\s+[|>][-+\d]*\s*(#.*)?$/.test(value)) {
      this.folded = indent;
    }
    return this.opens(value.trimStart()) ? undefined : {text: value, indent, value: true};
  }

  // Leaves what ends at this indentation.
  private leave(indent: number, dash: boolean): void {
    while (this.top !== undefined && (this.top.indent > indent || (this.top.indent === indent && this.top.items && !dash))) {
      this.levels.pop();
    }
  }

  private opens(text: string): boolean {
    if (!/^[{[]/.test(text)) {
      return false;
    }
    this.brackets(text);
    return true;
  }

  private blockSpot(rest: {text: string; indent: number; value: boolean}, typed: string, begin: number): Spot | undefined {
    const end = begin + typed.length;
    if (/(^|\s)#/.test(rest.text) || /^\s*["'|>]/.test(rest.text)) {
      return undefined;
    }
    const word = rest.text.trimStart();
    if (rest.value) {
      return /^\s/.test(rest.text) ? {path: this.path(this.levels), of: "value", from: end - word.length, there: [], indent: rest.indent} : undefined;
    }
    const top = this.top;
    const inIt = top !== undefined && !top.items && top.indent === rest.indent;
    const path = this.path(inIt ? this.levels.slice(0, -1) : this.levels);
    return {path, of: "field", from: end - word.length, there: inIt ? top.fields : [], indent: rest.indent};
  }

  private path(levels: readonly Level[]): Part[] {
    return levels.flatMap((level): Part[] => (level.items ? [level.at] : level.field === undefined ? [] : [level.field]));
  }

  private brackets(text: string): void {
    let word = "";
    for (let i = 0; i < text.length && (i === 0 || this.inBrackets); i++) {
      const char = text.charAt(i);
      const top = this.top;
      if (this.quote !== "") {
        this.quote = char === this.quote ? "" : this.quote;
        word += char;
        continue;
      }
      switch (char) {
        case '"':
        case "'":
          this.quote = char;
          word += char;
          break;
        case "#":
          if (i === 0 || /\s/.test(text.charAt(i - 1))) {
            return;
          }
          word += char;
          break;
        case "{":
        case "[":
          this.levels.push({indent: -1, items: char === "[", at: 0, field: undefined, fields: []});
          word = "";
          break;
        case "}":
        case "]":
          this.levels.pop();
          word = "";
          break;
        case ",":
          top!.at++;
          top!.field = undefined;
          word = "";
          break;
        case ":":
          if (top?.items === false && top.field === undefined && /^(\s|$)/.test(text.slice(i + 1))) {
            top.field = word.trim().replace(/^["']|["']$/g, "");
            top.fields.push(top.field);
            word = "";
          }
          break;
        default:
          word += char;
      }
    }
  }
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

// The fields of the same mapping that come after.
function following(text: string, indent: number): string[] {
  const found: string[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*(#|$)/.test(line)) {
      continue;
    }
    const at = indentOf(line);
    if (at < indent || (at === indent && /^\s*-\s/.test(line))) {
      break;
    }
    const field = at === indent ? key.exec(line.trimStart()) : null;
    if (field?.[1] !== undefined) {
      found.push(field[1].replace(/^["']|["']$/g, ""));
    }
  }
  return found;
}
