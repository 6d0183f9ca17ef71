// Turns: what takes its time to draw is drawn one after the other, and not all in one go that keeps the person waiting.
import {useEffect, useState} from "react";

/** Whether it is a component's turn to be drawn; from then on it always is. Each screen that the browser draws is one's turn. */
export function useTurn(): boolean {
  const [mine, setMine] = useState(false);
  useEffect(() => queue(() => setMine(true)), []);
  return mine;
}

// Private

let waiting: readonly (() => void)[] = [];
let due: number | undefined;

function queue(turn: () => void): () => void {
  waiting = [...waiting, turn];
  due ??= requestAnimationFrame(next);
  return () => {
    waiting = waiting.filter((one) => one !== turn);
  };
}

function next(): void {
  const [turn, ...rest] = waiting;
  waiting = rest;
  due = rest.length > 0 ? requestAnimationFrame(next) : undefined;
  turn?.();
}
