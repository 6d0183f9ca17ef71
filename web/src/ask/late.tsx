// Parts of the dashboard that are loaded when they are first wanted, or a little before.
import {type ComponentType, useSyncExternalStore} from "react";

export type Late<P> = ComponentType<P> & {ahead: () => Promise<void>};

/** A component that is loaded when it is first drawn, and something that stands in for it until then. Ahead loads it before
 * it is drawn: then nothing stands in. React's own way, lazy and Suspense, holds back what comes for 0.3 s. */
export function late<P extends object>(load: () => Promise<{default: ComponentType<P>}>, Meanwhile: ComponentType<P>): Late<P> {
  let known: {Part?: ComponentType<P>; error?: unknown} = nothing;
  let loading: Promise<void> | undefined;
  const listening = new Set<() => void>();
  const become = (news: typeof known) => {
    known = news;
    listening.forEach((tell) => tell());
  };
  const ahead = () =>
    (loading ??= load().then(
      ({default: Part}) => become({Part}),
      (error: unknown) => {
        loading = undefined;
        if (listening.size > 0) {
          become({error}); // whoever wants it now is told; whoever comes later tries again
        }
      },
    ));
  const subscribe = (tell: () => void) => {
    listening.add(tell);
    void ahead();
    return () => {
      listening.delete(tell);
      if (listening.size === 0 && known.error !== undefined) {
        known = nothing;
      }
    };
  };
  function Part(props: P) {
    const {Part: Loaded, error} = useSyncExternalStore(subscribe, () => known);
    if (error !== undefined) {
      throw error;
    }
    return Loaded === undefined ? <Meanwhile {...props} /> : <Loaded {...props} />;
  }
  return Object.assign(Part, {ahead});
}

// Private

const nothing = {};
