// What may be written at a place of a policy, by the schema that the server gives.
import {type Spot, type Part} from "./yaml";

/** A JSON Schema, as far as that of policies goes. */
export interface Schema {
  description?: string;
  type?: string;
  enum?: readonly unknown[];
  default?: unknown;
  properties?: Readonly<Record<string, Schema>>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: readonly Schema[];
  required?: readonly string[];
}

export interface Offer {
  label: string;
  detail: string; // what kind of value it has, or that it is the usual one
  info: string; // what it is for
  text: string; // what is written
}

/** What may be written at the spot; fields that have to be there come first. */
export function offers(schema: Schema, spot: Spot): Offer[] {
  const found = at(schema, spot.path);
  return spot.of === "field" ? fields(found, spot) : values(found);
}

/** What the field is for that the path leads to; empty: the schema does not say. */
export function meaning(schema: Schema, path: readonly Part[]): string {
  return at(schema, path).find((one) => one.description !== undefined)?.description ?? "";
}

// Private

function at(schema: Schema, path: readonly Part[]): Schema[] {
  let found = choices(schema);
  for (const part of path) {
    found = found.flatMap((one) => {
      if (typeof part === "number") {
        return one.items === undefined ? [] : choices(one.items);
      }
      const field = one.properties?.[part] ?? (typeof one.additionalProperties === "object" ? one.additionalProperties : undefined);
      return field === undefined ? [] : choices(field);
    });
  }
  return found;
}

function choices(schema: Schema): Schema[] {
  return schema.anyOf === undefined ? [schema] : [...(schema.description === undefined ? [] : [{description: schema.description}]), ...schema.anyOf.flatMap(choices)];
}

function fields(found: readonly Schema[], spot: Spot): Offer[] {
  const offered = new Map<string, Offer & {needed: boolean}>();
  for (const one of found) {
    for (const [name, field] of Object.entries(one.properties ?? {})) {
      if (!spot.there.includes(name) && !offered.has(name)) {
        const needed = one.required?.includes(name) ?? false;
        offered.set(name, {label: name, detail: needed ? "necessary" : kind(field), info: field.description ?? "", text: name + colon(field, spot.indent), needed});
      }
    }
  }
  return [...offered.values()].sort((a, b) => Number(b.needed) - Number(a.needed) || a.label.localeCompare(b.label)).map(({label, detail, info, text}) => ({label, detail, info, text}));
}

function kind(field: Schema): string {
  const one = choices(field).find((choice) => choice.type !== undefined || choice.enum !== undefined);
  if (one?.enum !== undefined) {
    return one.enum.length > 3 ? "one of some" : one.enum.join(" | ");
  }
  switch (one?.type) {
    case "array":
      return "list";
    case "object":
      return "fields";
    case "boolean":
      return "true | false";
    default:
      return one?.default === undefined ? (one?.type ?? "") : `usually ${String(one.default)}`;
  }
}

// What stands behind a field's name: fields and items of their own begin on a line of their own, outside of brackets.
function colon(field: Schema, indent: number): string {
  const all = choices(field).filter((one) => one.type !== undefined || one.enum !== undefined);
  const only = all.length === 1 ? all[0]?.type : undefined;
  if (indent < 0 || (only !== "object" && only !== "array")) {
    return ": ";
  }
  return `:\n${" ".repeat(indent + 2)}${only === "array" ? "- " : ""}`;
}

function values(found: readonly Schema[]): Offer[] {
  const offered = new Map<string, Offer>();
  const info = found.find((one) => one.description !== undefined)?.description ?? "";
  const add = (value: unknown, detail: string) => {
    if (!["string", "number", "boolean"].includes(typeof value)) {
      return;
    }
    const label = String(value);
    if (!offered.has(label)) {
      offered.set(label, {label, detail, info, text: label});
    }
  };
  for (const one of found) {
    const usual = (value: unknown) => (value === one.default ? "usual" : "");
    one.enum?.forEach((value) => add(value, usual(value)));
    if (one.type === "boolean") {
      [true, false].forEach((value) => add(value, usual(value)));
    }
    add(one.default, "usual");
  }
  return [...offered.values()];
}
