// What an event says, which leads to where that is seen.
import {Text} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Link} from "../../frame/router";
import {moreOf} from "./view";

export function Told({fact}: {fact: Schemas["adg.v1.Fact"]}) {
  const more = moreOf(fact);
  if (more === undefined) {
    return (
      <Text span className="wrap">
        {fact.text}
      </Text>
    );
  }
  return (
    <Link href={more} className="wrap">
      {fact.text}
    </Link>
  );
}
