// Questions to the server: each is asked once for all who want to know, and its last answer is kept while a newer one
// comes, so that nothing flickers.
import {useCallback, useEffect, useRef, useSyncExternalStore} from "react";
import {ApiError} from "./api";

/** What is known of an answer. */
export interface Asked<T> {
  data: T | undefined; // the last good answer
  at: number | undefined; // when that came, in ms
  error: unknown; // why the last try failed; undefined: it did not
  failing: number | undefined; // since when tries fail, in ms
  again: () => void; // asks now
}

export interface AskOptions {
  every?: number; // ms after which it is asked again while the page is seen; not set: only when something was done
}

/** Asks, and again when the key is another one or somebody has done something that changes the answer. Without a key
 * nothing is asked. */
export function useAsk<T>(key: string | undefined, ask: (signal: AbortSignal) => Promise<T>, {every}: AskOptions = {}): Asked<T> {
  const asking = useRef(ask);
  useEffect(() => {
    asking.current = ask;
  });
  const subscribe = useCallback(
    (tell: () => void) => {
      if (key === undefined) {
        return () => undefined;
      }
      return question(key).join({tell, ask: (signal) => asking.current(signal), every});
    },
    [key, every],
  );
  const known = useSyncExternalStore(subscribe, () => (key === undefined ? nothing : question(key).known));
  return known as Asked<T>;
}

/** Has everything asked again whose key begins so: what was done has changed it. */
export function changed(...prefixes: string[]): void {
  for (const [key, q] of questions) {
    if (prefixes.some((prefix) => key.startsWith(prefix))) {
      q.stale();
    }
  }
}

/** Asks before anybody wants to know, such as while a page is on its way: who comes soon has the answer at once. */
export function ahead<T>(key: string, ask: (signal: AbortSignal) => Promise<T>): void {
  setTimeout(question(key).join({tell: () => undefined, ask, every: undefined}), soon);
}

/** Forgets all answers. */
export function forget(): void {
  questions.clear();
}

// Private

interface Member {
  tell: () => void;
  ask: (signal: AbortSignal) => Promise<unknown>;
  every: number | undefined;
}

const kept = 200; // answers that nobody looks at now
const fresh = 2_000; // ms for which whoever comes gets the answer that there is
const soon = 10_000; // ms for which an answer that was asked for ahead is waited for
const soonest = 2_000;
const latest = 30_000;

const nothing: Asked<unknown> = {data: undefined, at: undefined, error: undefined, failing: undefined, again: () => undefined};

class Question {
  known: Asked<unknown>;
  private readonly members = new Set<Member>();
  private busy: AbortController | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wait = soonest;

  constructor() {
    this.known = {...nothing, again: () => this.ask()};
  }

  join(member: Member): () => void {
    this.members.add(member);
    if (this.busy === undefined) {
      if (this.known.error === undefined && this.known.at !== undefined && Date.now() - this.known.at < fresh) {
        this.later(this.every());
      } else {
        this.ask();
      }
    }
    return () => {
      this.members.delete(member);
      if (this.members.size === 0) {
        clearTimeout(this.timer);
        this.busy?.abort();
        this.busy = undefined;
      }
    };
  }

  get unused(): boolean {
    return this.members.size === 0;
  }

  stale(): void {
    if (this.unused) {
      this.known = {...nothing, again: this.known.again};
    } else {
      this.ask();
    }
  }

  ask(): void {
    const [member] = this.members;
    if (member === undefined) {
      return;
    }
    clearTimeout(this.timer);
    this.busy?.abort();
    const mine = new AbortController();
    this.busy = mine;
    member.ask(mine.signal).then(
      (data) => {
        if (this.busy === mine) {
          this.wait = soonest;
          this.become({data, at: Date.now(), error: undefined, failing: undefined});
          this.later(this.every());
        }
      },
      (error: unknown) => {
        if (this.busy === mine) {
          this.become({error, failing: this.known.failing ?? Date.now()});
          if (mayPass(error)) {
            this.later(this.wait);
            this.wait = Math.min(2 * this.wait, latest);
          }
        }
      },
    );
  }

  private become(news: Partial<Asked<unknown>>): void {
    this.busy = undefined;
    this.known = {...this.known, ...news};
    for (const member of this.members) {
      member.tell();
    }
  }

  private every(): number {
    return Math.min(...[...this.members].map((one) => one.every ?? Infinity));
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    if (ms === Infinity) {
      return;
    }
    this.timer = setTimeout(() => {
      if (!document.hidden) {
        this.ask();
        return;
      }
      const seen = () => {
        document.removeEventListener("visibilitychange", seen);
        this.ask();
      };
      document.addEventListener("visibilitychange", seen);
    }, ms);
  }
}

const questions = new Map<string, Question>();

function question(key: string): Question {
  let q = questions.get(key);
  if (q === undefined) {
    for (const [old, one] of questions) {
      if (questions.size < kept) {
        break;
      }
      if (one.unused) {
        questions.delete(old);
      }
    }
    q = new Question();
    questions.set(key, q);
  }
  return q;
}

/** Whether an error may pass by itself. */
function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500 || error.status === 429;
}
