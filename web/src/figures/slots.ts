import {useCallback, useMemo, useState} from "react";

/** Numbers for the rows of a list that come and go. Each keeps its own for as long as it is in the list; who comes later
 * gets that of one who has gone. What remembers something of each number remembers no more than the longest list. */
export class Slots {
  private taken = new Map<string, number>();
  private readonly free: number[] = [];

  /** The numbers of the keys, which are different, in their order. */
  give(keys: readonly string[]): readonly number[] {
    const now = new Map<string, number>();
    for (const key of keys) {
      const number = this.taken.get(key);
      if (number !== undefined) {
        now.set(key, number);
      }
    }
    for (const [key, number] of this.taken) {
      if (!now.has(key)) {
        this.free.push(number);
      }
    }
    const numbers = keys.map((key) => {
      const number = now.get(key) ?? this.free.pop() ?? now.size;
      now.set(key, number);
      return number;
    });
    this.taken = now;
    return numbers;
  }
}

/** The keys that the virtualizer knows rows by: it never forgets the height of a key, and rows come for as long as a page
 * is open. */
export function useSlots(keys: readonly string[]): (i: number) => number {
  const [slots] = useState(() => new Slots());
  const numbers = useMemo(() => slots.give(keys), [slots, keys]);
  return useCallback((i) => numbers[i]!, [numbers]);
}
