// What is wrong or doubtful with a text, asked while it is typed.
import {useEffect, useState} from "react";
import {type Schemas, answer, api} from "../../ask/api";
import {type Problem} from "./asks";

export interface Linted {
  answer: Schemas["adg.v1.LintPolicyResponse"] | undefined; // of an earlier text as long as that of the newest is not there
  text: string | undefined; // the text that it is of
  error: unknown; // why it could not be asked
}

const pause = 400; // ms without a key before it is asked

/** What the server says of the text. It is asked when nothing was typed for a moment. */
export function useLint(text: string): Linted {
  const [linted, setLinted] = useState<Linted>({answer: undefined, text: undefined, error: undefined});
  useEffect(() => {
    if (text.trim() === "") {
      return;
    }
    const mine = new AbortController();
    const timer = setTimeout(() => {
      answer(api.POST("/v1/policies:lint", {body: {text}, signal: mine.signal})).then(
        (came) => setLinted({answer: came, text, error: undefined}),
        (error: unknown) => {
          if (!mine.signal.aborted) {
            setLinted((was) => ({...was, error}));
          }
        },
      );
    }, pause);
    return () => {
      clearTimeout(timer);
      mine.abort();
    };
  }, [text]);
  return linted;
}

/** The stretch of the text that a problem is about: the word at its place; a whole line where there is none. */
export function stretch(text: string, problem: Pick<Problem, "line" | "column">): {from: number; to: number} {
  const lines = text.split("\n");
  const at = Math.min(Math.max(problem.line, 1), lines.length) - 1;
  const begin = lines.slice(0, at).reduce((sum, line) => sum + line.length + 1, 0);
  const line = lines[at] ?? "";
  // The server counts characters, JavaScript units of UTF-16.
  const column = [...line].slice(0, Math.max(problem.column, 1) - 1).join("").length;
  const word = /^("[^"]*"|'[^']*'|[^\s,:{}[\]#]+)/.exec(line.slice(column))?.[0];
  if (problem.line < 1 || word === undefined) {
    const lead = line.length - line.trimStart().length;
    return {from: begin + lead, to: begin + Math.max(line.trimEnd().length, lead)};
  }
  return {from: begin + column, to: begin + column + word.length};
}

/** The text with what was probably meant in place of what is wrong. */
export function mended(text: string, problem: Problem): string {
  const {from, to} = stretch(text, problem);
  return text.slice(0, from) + problem.suggestion + text.slice(to);
}

/** The problems in the order of the text: what cannot be used at the same place comes first. */
export function ordered(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.line - b.line || a.column - b.column || Number(b.fatal) - Number(a.fatal));
}
