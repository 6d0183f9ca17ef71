// Follows a stream of the API for as long as it is wanted: one that was lost is opened again, later each time.
import {ApiError, stream, type Streams, type Told} from "../api/client";
import {server, toLogin} from "../ask/api";
import {serverNow} from "../frame/clock";

export interface Connection {
  state: "connecting" | "connected" | "lost" | "refused" | "ended";
  since: number; // since when it is so, in ms by the server's clock
  nextTry: number | undefined; // when it is tried again, in ms
  error: unknown; // why it was lost or refused
}

export interface Following<P extends Streams> {
  path: P;
  query: () => Record<string, string | string[] | boolean>; // asked for at each try: a cursor may have moved on
  opened?: () => void; // a new stream begins
  told: (message: Told<P>) => void;
  connection: (connection: Connection) => void;
  ends?: boolean; // the stream ends by itself when there is nothing more to tell
}

// A stream says at least every 15 s that it is alive. One that is silent for longer was cut off without anybody saying so.
const silence = 40_000;
const soonest = 500;
const latest = 30_000;
// Browsers open six connections to a server without TLS: pages that nobody sees give theirs back.
const unseen = 60_000;

/** Follows; tryNow tries at once when the stream is lost. */
export function follow<P extends Streams>(f: Following<P>): {tryNow: () => void; end: () => void} {
  let ended = false; // nobody wants it any more
  let over = false; // there is nothing more to tell, or not to us
  let wait = soonest;
  let lost: number | undefined; // since when
  let timer: ReturnType<typeof setTimeout> | undefined;
  let hide: ReturnType<typeof setTimeout> | undefined;
  let open: AbortController | undefined;

  const say = (state: Connection["state"], more: Partial<Connection> = {}) => f.connection({state, since: serverNow(), nextTry: undefined, error: undefined, ...more});

  const begin = async () => {
    clearTimeout(timer);
    open?.abort();
    const mine = new AbortController();
    open = mine;
    let watchdog = setTimeout(() => mine.abort(), silence);
    let error: unknown;
    try {
      let first = true;
      for await (const message of stream(server, f.path, f.query(), mine.signal)) {
        if (mine.signal.aborted) {
          break;
        }
        clearTimeout(watchdog);
        watchdog = setTimeout(() => mine.abort(), silence);
        if (first) {
          first = false;
          wait = soonest;
          lost = undefined;
          f.opened?.();
          say("connected");
        }
        f.told(message);
      }
    } catch (failure) {
      error = failure;
    }
    clearTimeout(watchdog);
    if (ended || open !== mine) {
      return;
    }
    open = undefined;
    if (error === undefined && f.ends === true && !mine.signal.aborted) {
      over = true;
      say("ended");
      return;
    }
    if (error instanceof ApiError && [400, 403, 404].includes(error.status)) {
      over = true;
      say("refused", {error});
      return;
    }
    if (error instanceof ApiError && error.status === 401) {
      toLogin();
    }
    lost ??= serverNow();
    const after = wait * (0.75 + Math.random() / 2); // many pages do not come back in the same instant
    wait = Math.min(2 * wait, latest);
    say("lost", {since: lost, nextTry: serverNow() + after, error});
    timer = setTimeout(() => void begin(), after);
  };

  const seen = () => {
    clearTimeout(hide);
    if (document.hidden) {
      hide = setTimeout(() => {
        clearTimeout(timer);
        const mine = open;
        open = undefined;
        mine?.abort();
      }, unseen);
    } else if (open === undefined && !over) {
      wait = soonest;
      void begin();
    }
  };
  document.addEventListener("visibilitychange", seen);
  say("connecting");
  void begin();
  return {
    tryNow: () => {
      over = false;
      wait = soonest;
      void begin();
    },
    end: () => {
      ended = true;
      clearTimeout(timer);
      clearTimeout(hide);
      document.removeEventListener("visibilitychange", seen);
      open?.abort();
    },
  };
}
