// The list: of ten thousand rows those are drawn that can be seen.
import {Text} from "@mantine/core";
import {useWindowVirtualizer} from "@tanstack/react-virtual";
import {useEffect, useMemo, useRef, useState} from "react";
import {useSlots} from "../../figures/slots";
import {useTop} from "../../figures/top";
import {count, whole} from "../../figures/words";
import {useKeys} from "../../frame/keys";
import {go} from "../../frame/router";
import {to} from "../../places";
import {type Item} from "./order";
import {DeploymentRow} from "./row";
import classes from "./now.module.css";

export function Rows({items}: {items: readonly Item[]}) {
  const box = useRef<HTMLDivElement>(null);
  const top = useTop(box);
  const key = useSlots(useMemo(() => items.map(keyOf), [items]));
  const list = useWindowVirtualizer({count: items.length, estimateSize: (i) => (items[i]?.kind === "group" ? 44 : 112), getItemKey: key, overscan: 6, scrollMargin: top});
  const {chosen} = useChoosing(items, (i) => list.scrollToIndex(i, {align: "auto"}));
  return (
    <div ref={box} role="list" aria-label="Running deployments" style={{position: "relative", height: list.getTotalSize()}} data-rows={items.length}>
      {list.getVirtualItems().map((at) => {
        const item = items[at.index]!;
        return (
          <div key={keyOf(item)} ref={list.measureElement} data-index={at.index} role="listitem" aria-setsize={items.length} aria-posinset={at.index + 1} className={classes.item} style={{transform: `translateY(${at.start - list.options.scrollMargin}px)`}}>
            {item.kind === "row" ? <DeploymentRow row={item.row} chosen={item.row.id === chosen} /> : <GroupHead {...item} />}
          </div>
        );
      })}
    </div>
  );
}

// Private

function keyOf(item: Item): string {
  return item.kind === "row" ? item.row.id : `group ${item.name}`;
}

// j and k go from row to row. The chosen one stays so when rows change places.
function useChoosing(items: readonly Item[], show: (index: number) => void) {
  const [chosen, setChosen] = useState<string>();
  const wanted = useRef<string>(undefined); // gets the focus once it is drawn
  const move = (by: 1 | -1) => {
    let i = items.findIndex((item) => item.kind === "row" && item.row.id === chosen);
    if (i < 0 && by < 0) {
      i = items.length;
    }
    do {
      i += by;
    } while (items[i]?.kind === "group");
    const item = items[i];
    if (item?.kind === "row") {
      setChosen(item.row.id);
      wanted.current = item.row.id;
      show(i);
    }
  };
  useEffect(() => {
    const link = wanted.current === undefined ? null : document.querySelector<HTMLElement>(`[data-row="${CSS.escape(wanted.current)}"]`);
    if (link !== null) {
      wanted.current = undefined;
      link.focus({preventScroll: true});
    }
  });
  useKeys([
    {keys: "j", does: "Choose the next deployment", run: () => move(1)},
    {keys: "k", does: "Choose the one before", run: () => move(-1)},
    {keys: "Enter", does: "Open the chosen deployment", run: () => chosen !== undefined && go(to.deployment(chosen))},
    {keys: "/", does: "Look for words", run: () => document.querySelector<HTMLElement>("[data-search]")?.focus()},
  ]);
  return {chosen};
}

function GroupHead({name, rows, bad}: {name: string; rows: number; bad: number}) {
  return (
    <div className={classes.group}>
      <Text fw={650} span>
        {name}
      </Text>{" "}
      <span className="quiet">
        {count(rows, "deployment")}
        {bad > 0 && `, ${whole(bad)} in trouble`}
      </span>
    </div>
  );
}
