import {Button, Text} from "@mantine/core";
import {explained} from "../ask/api";
import {span} from "../figures/words";
import {tryNow, useConnection} from "../live/deployments";
import {Icon} from "./icon";
import {useNow} from "./clock";
import {timeOfDay} from "./time";
import {zone} from "./zone";
import classes from "./frame.module.css";

/** Says when the server does not tell us any more what happens: what is shown may be over by now. */
export function ConnectionBar() {
  const connection = useConnection();
  const chosen = zone.use();
  const now = useNow();
  if (connection.state === "refused") {
    return (
      <div role="alert" className={classes.lost}>
        <Icon name="lost" />
        <Text size="sm">What happens now is not shown: {explained(connection.error).sentence}</Text>
      </div>
    );
  }
  const {nextTry} = connection;
  // A connection that is back within a second or two is nobody's business.
  if (connection.state !== "lost" || nextTry === undefined || now - connection.since < 1000) {
    return <div role="status" />;
  }
  return (
    <div role="status" className={classes.lost} data-state="lost">
      <Icon name="lost" />
      <Text size="sm" style={{flex: 1}}>
        Not connected since {timeOfDay(connection.since, chosen)}. <span aria-hidden="true">Trying again {nextTry > now ? `in ${span(Math.max(1, (nextTry - now) / 1000))}` : "now"}.</span>
      </Text>
      <Button size="compact-sm" variant="default" onClick={tryNow}>
        Try now
      </Button>
    </div>
  );
}
