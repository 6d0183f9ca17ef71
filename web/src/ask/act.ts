// What people do: each action has an idempotency key, so that a second try after a lost answer does nothing twice.
import {useCallback, useRef, useState} from "react";
import {ApiError, newKey} from "./api";

export interface Act<I, O> {
  run: (input: I) => Promise<O | undefined>; // undefined: it failed, error says why
  busy: boolean;
  error: unknown; // why it failed; undefined: it did not, or was not tried
  field: (name: string) => string | undefined; // what the server says about a field, by its name in the API, such as release.version
  done: boolean; // the last try went well
  clear: () => void;
}

/** An action. It is given its input and the idempotency key to send along. A try after one that was not answered has the
 * same key; after an answer, whatever it was, the next has a new one. Pass what follows from it, such as
 * changed("deployment/"), as after. */
export function useAct<I, O>(act: (input: I, idempotencyKey: string) => Promise<O>, after?: (output: O, input: I) => void): Act<I, O> {
  const [state, setState] = useState<{busy: boolean; error: unknown; done: boolean}>(idle);
  const key = useRef<{key: string; input: string} | undefined>(undefined);
  const run = async (input: I): Promise<O | undefined> => {
    const text = JSON.stringify(input) ?? "";
    if (key.current?.input !== text) {
      key.current = {key: newKey(), input: text};
    }
    setState({busy: true, error: undefined, done: false});
    try {
      const output = await act(input, key.current.key);
      key.current = undefined;
      setState({busy: false, error: undefined, done: true});
      after?.(output, input);
      return output;
    } catch (error) {
      if (error instanceof ApiError) {
        key.current = undefined;
      }
      setState({busy: false, error, done: false});
      return undefined;
    }
  };
  const clear = useCallback(() => setState(idle), []);
  const {error} = state;
  return {run, ...state, clear, field: (name) => (error instanceof ApiError ? fieldOf(error, name) : undefined)};
}

// Private

const idle = {busy: false, error: undefined, done: false};

// The server says release.version or release_version; people who write forms should not have to know which.
function fieldOf(error: ApiError, name: string): string | undefined {
  const bare = (text: string) => text.replaceAll("_", "").toLowerCase();
  for (const [field, text] of error.fields) {
    if (bare(field) === bare(name)) {
      return text;
    }
  }
  return undefined;
}
