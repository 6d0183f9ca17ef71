// What is read seldom, behind a word.
import {type ReactNode, useState} from "react";

/** Something that is folded away until somebody wants it: only then it is drawn. */
export function Unfold({word, label, children}: {word: string; label?: string; children: ReactNode}) {
  const [opened, setOpened] = useState(false);
  return (
    <details onToggle={(event) => setOpened(event.currentTarget.open)}>
      <summary aria-label={label}>{word}</summary>
      {opened && children}
    </details>
  );
}
