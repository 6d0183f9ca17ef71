// Lists that come page by page: the first is asked like any other question, the next ones when somebody wants them.
import {useState} from "react";
import {type Asked, useAsk} from "./ask";

export interface Page<T> {
  rows: readonly T[];
  next: string; // token of the next page; empty: this is the last
}

export interface More<T> extends Asked<readonly T[]> {
  more: (() => void) | undefined; // asks for the next page; undefined: there is none
  loading: boolean; // whether a page is on its way
  trouble: unknown; // why the next page did not come
}

/** A list by its pages. Once a second page is there the first is no longer asked again by itself, or rows between them
 * would be missing. While another list is on its way the one before stays. */
export function useMore<T>(key: string | undefined, page: (token: string, signal?: AbortSignal) => Promise<Page<T>>, {every}: {every?: number} = {}): More<T> {
  const [further, setFurther] = useState<Further<T>>(none);
  const [loading, setLoading] = useState(false);
  const [last, setLast] = useState<Page<T>>();
  const deep = further.rows.length > 0 && further.key === key;
  const first = useAsk(key, (signal) => page("", signal), deep ? {} : {every});
  if (first.data !== undefined && first.data !== last) {
    setLast(first.data);
  }
  const shown = first.data ?? (first.error === undefined ? last : undefined);
  const mine = further.of === first.data && first.data !== undefined ? further : none;
  const next = mine.next ?? first.data?.next ?? "";
  const more = () => {
    const of = first.data;
    setLoading(true);
    page(next).then(
      (got) => {
        setLoading(false);
        setFurther({key, of, rows: [...mine.rows, ...got.rows], next: got.next, trouble: undefined});
      },
      (trouble: unknown) => {
        setLoading(false);
        setFurther({...mine, key, of, trouble});
      },
    );
  };
  return {
    ...first,
    data: shown === undefined ? undefined : mine.rows.length === 0 ? shown.rows : [...shown.rows, ...mine.rows],
    more: next === "" ? undefined : more,
    loading: loading || (first.data === undefined && first.error === undefined),
    trouble: mine.trouble,
  };
}

// Private

interface Further<T> {
  key: string | undefined;
  of: Page<T> | undefined; // the first page that it goes on from
  rows: readonly T[];
  next: string | undefined;
  trouble: unknown;
}

const none: Further<never> = {key: undefined, of: undefined, rows: [], next: undefined, trouble: undefined};
