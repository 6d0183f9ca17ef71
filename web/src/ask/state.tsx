// What is shown while an answer is not there, and when it will not come: every page does it the same way.
import "../mantine.css"; // every page has it, so it is in what they share, before all of ours that counts for more
import {Alert, Button, Group, Skeleton, Stack, Text, VisuallyHidden} from "@mantine/core";
import {type ReactNode} from "react";
import {Icon} from "../frame/icon";
import {Time} from "../frame/time";
import {explained, isForbidden} from "./api";
import {type Asked} from "./ask";

interface StateProps<T> {
  of: Asked<T>;
  what: string; // what is asked for, as in "deployments"
  empty?: (data: T) => boolean;
  none?: ReactNode; // shown when it is empty; better than "none" is what to do about it
  children: (data: T) => ReactNode;
}

/** Draws an answer, or in which other state the question is: loading, forbidden, failed, empty, or no longer fresh. */
export function State<T>({of, what, empty, none, children}: StateProps<T>) {
  if (of.error !== undefined && isForbidden(of.error)) {
    return <Forbidden what={what} error={of.error} />;
  }
  if (of.data === undefined) {
    return of.error === undefined ? <Loading what={what} /> : <Failed error={of.error} again={of.again} />;
  }
  return (
    <>
      {of.error !== undefined && <Stale of={of} />}
      {empty?.(of.data) ? (none ?? <Empty>There are no {what} yet.</Empty>) : children(of.data)}
    </>
  );
}

export function Loading({what}: {what: string}) {
  return (
    <Stack gap="sm" role="status" data-state="loading">
      <VisuallyHidden>Loading {what}</VisuallyHidden>
      <Skeleton height={28} width="40%" />
      <Skeleton height={72} />
      <Skeleton height={72} />
    </Stack>
  );
}

export function Empty({children}: {children: ReactNode}) {
  return (
    <div className="card" data-state="empty">
      <div className="quiet">{children}</div>
    </div>
  );
}

/** An error: what went wrong, what to do about it, and what to say to whoever looks into the server's log. */
export function Failed({error, again}: {error: unknown; again?: () => void}) {
  const {sentence, wayOut, requestId} = explained(error);
  return (
    <Alert color="red" variant="outline" role="alert" data-state="error" icon={<Icon name="bad" />} title={sentence} styles={{title: {color: "var(--adg-bad)"}, icon: {color: "var(--adg-bad)"}}}>
      <Stack gap="xs" align="flex-start">
        {wayOut !== "" && <Text size="sm">{wayOut}</Text>}
        {requestId !== "" && (
          <Text size="sm" className="quiet">
            The server's log has it as request {requestId}.
          </Text>
        )}
        {again !== undefined && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function Forbidden({what, error}: {what: string; error: unknown}) {
  const {sentence, wayOut} = explained(error);
  return (
    <Alert variant="outline" color="gray" role="alert" data-state="forbidden" icon={<Icon name="human" />} title={`You may not see ${what}.`} styles={{title: {color: "inherit"}, icon: {color: "inherit"}}}>
      <Text size="sm">{sentence}</Text>
      {wayOut !== "" && <Text size="sm">{wayOut}</Text>}
    </Alert>
  );
}

function Stale({of}: {of: Asked<unknown>}) {
  const {sentence} = explained(of.error);
  return (
    <div role="status" data-state="stale" style={{borderLeft: "4px solid var(--adg-warn)", background: "var(--adg-warn-soft)", padding: "0.5rem 0.75rem", marginBottom: "0.75rem"}}>
      <Group gap="xs">
        <Icon name="lost" />
        <Text size="sm" style={{flex: 1}}>
          This is as of <Time at={of.at} plain />. {sentence}
        </Text>
        <Button size="xs" variant="default" onClick={of.again}>
          Try again
        </Button>
      </Group>
    </div>
  );
}
