// Where something holds, in words.

/** "all services in production", "checkout everywhere", "services whose names begin with pay, in all environments". */
export function scopeWords(service = "", environment = ""): string {
  const all = (name: string) => name === "" || name === "*";
  if (all(service) && all(environment)) {
    return "all services in all environments";
  }
  const services = all(service) ? "all services" : named(service, "services");
  const environments = all(environment) ? "all environments" : named(environment, "environments");
  return `${services} in ${environments}`;
}

// Private

function named(pattern: string, many: string): string {
  return pattern.endsWith("*") ? `${many} named ${pattern.slice(0, -1)}…` : pattern;
}
