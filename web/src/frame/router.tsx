// Addresses: which page is shown, and what is chosen on it. Everything that a person may want to send to another stands
// in the address.
import {type AnchorHTMLAttributes, type MouseEvent, createContext, useCallback, useContext, useMemo, useSyncExternalStore} from "react";

export interface Location {
  path: string;
  search: string;
}

/** Where we are. */
export function useLocation(): Location {
  const at = useSyncExternalStore(subscribe, () => window.location.pathname + window.location.search);
  return useMemo(() => {
    const cut = at.indexOf("?");
    return cut < 0 ? {path: at, search: ""} : {path: at.slice(0, cut), search: at.slice(cut)};
  }, [at]);
}

/** Goes to another address of the dashboard. */
export function go(to: string, {replace = false} = {}): void {
  const before = window.location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  for (const tell of listening) {
    tell();
  }
  if (window.location.pathname !== before) {
    window.scrollTo(0, 0);
  }
}

/** What stands in the address behind the '?', and how to change it: no value takes the name out. Several values are
 * separated by commas in one. A change does not make a new entry in the history, so that "back" leaves the page. */
export function useQuery(): [URLSearchParams, (changes: Record<string, string | undefined>) => void] {
  const {search} = useLocation();
  const query = useMemo(() => new URLSearchParams(search), [search]);
  const change = useCallback((changes: Record<string, string | undefined>) => {
    const next = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined || value === "") {
        next.delete(name);
      } else {
        next.set(name, value);
      }
    }
    const text = next.toString();
    go(window.location.pathname + (text === "" ? "" : `?${text}`), {replace: true});
  }, []);
  return [query, change];
}

const ParamsContext = createContext<Record<string, string>>({});
export const Params = ParamsContext.Provider;

/** What stands in the path for the names in its pattern. */
export function useParams(): Record<string, string> {
  return useContext(ParamsContext);
}

/** A link to a page of the dashboard. */
export function Link({href, onClick, ...rest}: AnchorHTMLAttributes<HTMLAnchorElement> & {href: string}) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || rest.target !== undefined) {
      return; // the browser knows best
    }
    event.preventDefault();
    go(href);
  };
  // eslint-disable-next-line jsx-a11y/anchor-has-content -- what it contains comes with the rest
  return <a href={href} onClick={follow} {...rest} />;
}

/** Matches a path with a pattern such as /settings/:part? and gives what stands for the names. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = parts(pattern);
  const given = parts(path);
  if (given.length > wanted.length) {
    return undefined;
  }
  const params: Record<string, string> = {};
  for (const [i, want] of wanted.entries()) {
    const got = given[i];
    if (!want.startsWith(":")) {
      if (got !== want) {
        return undefined;
      }
    } else if (got !== undefined) {
      try {
        params[want.slice(1).replace("?", "")] = decodeURIComponent(got);
      } catch {
        return undefined; // no address of ours
      }
    } else if (!want.endsWith("?")) {
      return undefined;
    }
  }
  return params;
}

// Private

const listening = new Set<() => void>();

function subscribe(tell: () => void): () => void {
  listening.add(tell);
  window.addEventListener("popstate", tell);
  return () => {
    listening.delete(tell);
    window.removeEventListener("popstate", tell);
  };
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
