// The editor of a policy's text: CodeMirror, which is loaded when a policy is opened. Tab indents; Escape and then Tab
// goes on to the next button, so that nobody who uses keys alone is caught in it.
import {type Completion, type CompletionContext, type CompletionResult, acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap} from "@codemirror/autocomplete";
import {defaultKeymap, history, historyKeymap, indentWithTab} from "@codemirror/commands";
import {yaml} from "@codemirror/lang-yaml";
import {HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting} from "@codemirror/language";
import {type Diagnostic, lintGutter, lintKeymap, setDiagnostics} from "@codemirror/lint";
import {highlightSelectionMatches, search, searchKeymap} from "@codemirror/search";
import {EditorState, type Extension} from "@codemirror/state";
import {EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers} from "@codemirror/view";
import {tags} from "@lezer/highlight";
import {type Ref, useEffect, useImperativeHandle, useRef} from "react";
import {type Problem} from "./asks";
import {type Schema, offers} from "./complete";
import {mended, stretch} from "./lint";
import {spotAt} from "./yaml";

export interface EditorHandle {
  show: (problem: Pick<Problem, "line" | "column">) => void; // puts the cursor there
}

export interface EditorProps {
  label: string;
  hint: string; // id of what says how to leave it
  text: string;
  change: (text: string) => void;
  problems: readonly Problem[]; // of the text as it is
  schema: Schema | undefined;
  readOnly: boolean;
  handle: Ref<EditorHandle>;
}

export default function Editor({label, hint, text, change, problems, schema, readOnly, handle}: EditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef({change, schema, text});
  useEffect(() => {
    latest.current = {change, schema, text};
  });
  useEffect(() => {
    const made = new EditorView({
      parent: place.current!,
      state: EditorState.create({doc: latest.current.text, extensions: [may(readOnly), extensions(label, hint, latest)]}),
    });
    view.current = made;
    return () => made.destroy();
  }, [label, hint, readOnly]);
  useEffect(() => {
    const made = view.current!;
    if (made.state.doc.toString() !== text) {
      made.dispatch({changes: {from: 0, to: made.state.doc.length, insert: text}});
    }
  }, [text]);
  useEffect(() => {
    const made = view.current!;
    made.dispatch(setDiagnostics(made.state, problems.map((problem) => diagnostic(made.state.doc.toString(), problem))));
  }, [problems, label, hint, readOnly]);
  useImperativeHandle(handle, () => ({
    show: (problem) => {
      const made = view.current!;
      const {from, to} = stretch(made.state.doc.toString(), problem);
      made.focus();
      made.dispatch({selection: {anchor: from, head: to}, effects: EditorView.scrollIntoView(from, {y: "center"})});
    },
  }));
  return <div ref={place} data-editor />;
}

// Private

type Latest = {readonly current: {change: (text: string) => void; schema: Schema | undefined}};

function may(readOnly: boolean): Extension {
  return readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [];
}

function extensions(label: string, hint: string, latest: Latest): Extension {
  return [
    lineNumbers(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    drawSelection(),
    history(),
    yaml(),
    indentOnInput(),
    bracketMatching(),
    closeBrackets(),
    highlightSelectionMatches(),
    search({top: true}),
    lintGutter(),
    autocompletion({override: [(context) => complete(context, latest.current.schema)], icons: false}),
    syntaxHighlighting(colours),
    look,
    keymap.of([{key: "Tab", run: acceptCompletion}, ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({tabindex: "0", "aria-label": label, "aria-describedby": hint, spellcheck: "false", autocorrect: "off", autocapitalize: "off"}),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) {
        latest.current.change(update.state.doc.toString());
      }
    }),
  ];
}

function complete(context: CompletionContext, schema: Schema | undefined): CompletionResult | null {
  const spot = schema === undefined ? undefined : spotAt(context.state.doc.toString(), context.pos);
  if (schema === undefined || spot === undefined) {
    return null;
  }
  // Lists that open by themselves on every empty line are in the way; a value of few is what one waits for.
  if (!context.explicit && spot.from === context.pos && spot.of === "field") {
    return null;
  }
  const options = offers(schema, spot).map(({label, detail, info, text}): Completion => ({label, detail, apply: text, ...(info === "" ? {} : {info})}));
  return options.length === 0 ? null : {from: spot.from, options, validFor: /^[\w.$-]*$/};
}

function diagnostic(text: string, problem: Problem): Diagnostic {
  const {suggestion} = problem;
  return {
    ...stretch(text, problem),
    severity: problem.fatal ? "error" : "warning",
    message: problem.text,
    actions: suggestion === "" ? [] : [{name: `Use “${suggestion}”`, apply: (view) => view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: mended(view.state.doc.toString(), problem)}})}],
  };
}

const colours = HighlightStyle.define([
  {tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--adg-info)"},
  {tag: [tags.string, tags.special(tags.string)], color: "var(--adg-good)"},
  {tag: [tags.comment, tags.lineComment], color: "var(--mantine-color-dimmed)", fontStyle: "italic"},
  {tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--mantine-color-dimmed)"},
]);

const look = EditorView.theme({
  "&": {backgroundColor: "var(--adg-card)", color: "var(--mantine-color-text)", border: "1px solid var(--adg-line)", borderRadius: "6px", fontSize: "0.85rem"},
  "&.cm-focused": {outline: "3px solid var(--adg-info)", outlineOffset: "2px"},
  ".cm-scroller": {fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.5", minHeight: "18rem", maxHeight: "70vh", overflow: "auto"},
  ".cm-content": {caretColor: "var(--mantine-color-text)", outline: "none"},
  ".cm-cursor": {borderLeftColor: "var(--mantine-color-text)", borderLeftWidth: "2px"},
  ".cm-gutters": {backgroundColor: "var(--adg-ground)", color: "var(--mantine-color-dimmed)", borderRight: "1px solid var(--adg-line)"},
  ".cm-activeLine, .cm-activeLineGutter": {backgroundColor: "var(--adg-band)"},
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {backgroundColor: "var(--adg-band)"},
  ".cm-tooltip": {backgroundColor: "var(--adg-card)", color: "var(--mantine-color-text)", border: "1px solid var(--adg-line)", borderRadius: "4px", maxWidth: "min(32rem, 90vw)"},
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": {backgroundColor: "var(--adg-info-soft)", color: "var(--mantine-color-text)", outline: "1px solid var(--adg-info)"},
  ".cm-completionDetail": {color: "var(--mantine-color-dimmed)"},
  ".cm-panels": {backgroundColor: "var(--adg-ground)", color: "var(--mantine-color-text)"},
  ".cm-diagnosticAction": {backgroundColor: "var(--adg-info)", color: "var(--adg-card)"},
});
