// Tables that are read on a phone, too: there each row is a card, and each cell has its column's name beside it.
import {Button, Group, Text} from "@mantine/core";
import {type ReactNode} from "react";
import {Failed} from "../ask/state";
import classes from "./rows.module.css";

export interface Column<T> {
  name: string;
  cell: (row: T) => ReactNode; // undefined: the row has none, and on a phone no line for it
  whole?: boolean; // it is short, and stays on one line where there is room
  end?: boolean; // numbers stand at the end of their column
}

interface RowsProps<T> {
  label: string; // what the table holds
  rows: readonly T[];
  columns: readonly Column<T>[];
  id: (row: T) => string;
}

export function Rows<T>({label, rows, columns, id}: RowsProps<T>) {
  // The roles are said because browsers forget them where a table is not laid out as one.
  /* eslint-disable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role */
  return (
    <div className={classes.place}>
      <table className={classes.table} aria-label={label} role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th key={column.name} scope="col" role="columnheader" data-end={column.end}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={id(row)} role="row">
              {columns.map((column) => {
                const cell = column.cell(row);
                return (
                  <td key={column.name} role="cell" data-name={column.name} data-end={column.end} data-whole={column.whole} data-none={cell === undefined ? true : undefined}>
                    <div className="wrap">{cell}</div>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
  /* eslint-enable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role */
}

/** What stands below a list that has more than is shown. */
export function MoreRows({of, shown, what}: {of: {more: (() => void) | undefined; loading: boolean; trouble: unknown}; shown: number; what: string}) {
  return (
    <>
      {of.trouble !== undefined && <Failed error={of.trouble} again={of.more} />}
      {of.more !== undefined && (
        <Group mt="sm" gap="sm">
          <Button variant="default" loading={of.loading} onClick={of.more}>
            More {what}
          </Button>
          <Text size="sm" className="quiet">
            {shown} are shown.
          </Text>
        </Group>
      )}
    </>
  );
}
