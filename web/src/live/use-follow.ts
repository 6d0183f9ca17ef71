import {useEffect, useRef, useState} from "react";
import {type Streams, type Told} from "../api/client";
import {serverNow} from "../frame/clock";
import {type Connection, follow} from "./follow";

/** Follows a stream while the component is shown: useFollow("/v1/events:stream", () => ({after: cursor}), (message) => …).
 * Without a path it follows nothing. The query is asked for at every new try, so a cursor may move on. A stream that ends
 * by itself, as that of one deployment does, is not opened again. */
export function useFollow<P extends Streams>(path: P | undefined, query: () => Record<string, string | string[] | boolean>, told: (message: Told<P>) => void, {ends = false} = {}): Connection {
  const [connection, setConnection] = useState<Connection>(() => ({state: "connecting", since: serverNow(), nextTry: undefined, error: undefined}));
  const latest = useRef({query, told});
  useEffect(() => {
    latest.current = {query, told};
  });
  useEffect(() => {
    if (path === undefined) {
      return;
    }
    const following = follow<P>({path, query: () => latest.current.query(), told: (message) => latest.current.told(message), connection: setConnection, ends});
    return following.end;
  }, [path, ends]);
  return connection;
}
