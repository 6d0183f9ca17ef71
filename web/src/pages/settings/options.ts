// The options of a driver as a form: its schema says which there are, so that a new driver needs no page of its own.
export interface Field {
  path: string; // such as tls.ca_file
  kind: "text" | "number" | "flag" | "lines" | "secret" | "json";
  text: string; // what it is, as the schema says
  otherwise: string; // what holds where it is empty; empty: nothing
  more: boolean; // whether it can wait until somebody looks for it
}

interface Schema {
  type?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
}

export type Form = Record<string, string>; // by path; a flag is "true" or "false"

/** The fields of a schema. */
export function fieldsOf(schema: unknown, secrets: readonly string[], prefix = ""): Field[] {
  return Object.entries((schema as Schema | undefined)?.properties ?? {}).flatMap(([name, one]): Field[] => {
    const path = prefix + name;
    const kind = kindOf(one, path, secrets);
    if (kind === undefined) {
      return fieldsOf(one, secrets, `${path}.`);
    }
    const otherwise = one.default === undefined ? "" : typeof one.default === "string" ? one.default : JSON.stringify(one.default);
    return [{path, kind, text: one.description ?? "", otherwise, more: prefix !== "" || otherwise !== "" || kind === "json" || seldom.has(name)}];
  });
}

/** A form with what is set already. Secrets are not known: they stay as they are where nothing is written. */
export function filled(fields: readonly Field[], options: unknown): Form {
  const form: Form = {};
  for (const {path, kind} of fields) {
    const value = path.split(".").reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], options);
    if (value === undefined || value === null || kind === "secret") {
      continue;
    }
    form[path] = kind === "lines" ? (value as unknown[]).join("\n") : kind === "json" ? JSON.stringify(value, undefined, 2) : String(value);
  }
  return form;
}

export interface Written {
  options: Record<string, unknown>;
  secrets: Record<string, string>;
  problems: Map<string, string>; // by path
}

/** What a form says. Empty fields are left to the driver. */
export function writtenOptions(fields: readonly Field[], form: Form): Written {
  const written: Written = {options: {}, secrets: {}, problems: new Map()};
  for (const field of fields) {
    const text = form[field.path] ?? "";
    if (text.trim() === "" || (field.kind === "flag" && text === (field.otherwise || "false"))) {
      continue;
    }
    if (field.kind === "secret") {
      written.secrets[field.path] = text;
      continue;
    }
    const value = valueOf(field, text);
    if (value === undefined) {
      written.problems.set(field.path, field.kind === "number" ? "It has to be a number." : "It has to be JSON.");
    } else {
      put(written.options, field.path.split("."), value);
    }
  }
  return written;
}

// Private

// What is right as it is nearly everywhere.
const seldom = new Set(["proxy", "headers", "params", "tenant", "context", "ca_file"]);

// undefined: its properties are fields of their own.
function kindOf(schema: Schema, path: string, secrets: readonly string[]): Field["kind"] | undefined {
  if (secrets.includes(path)) {
    return "secret";
  }
  switch (schema.type) {
    case "string":
      return "text";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "flag";
    case "array":
      return schema.items?.type === "string" ? "lines" : "json";
    default:
      return schema.properties === undefined || Object.keys(schema.properties).length === 0 ? "json" : undefined;
  }
}

function valueOf({kind}: Field, text: string): unknown {
  switch (kind) {
    case "number":
      return Number.isFinite(Number(text)) ? Number(text) : undefined;
    case "flag":
      return text === "true";
    case "lines":
      return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
    case "json":
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return undefined;
      }
    case "text":
    case "secret":
      return text.trim();
  }
}

function put(into: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    into[name] = value;
    return;
  }
  into[name] ??= {};
  put(into[name] as Record<string, unknown>, rest, value);
}
