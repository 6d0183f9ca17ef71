// What an event says. What it is about leads to where that is seen.
import {Text} from "@mantine/core";
import {type Schemas} from "../../ask/api";
import {Link} from "../../frame/router";
import {moreOf, parted} from "./view";

export function Told({fact}: {fact: Schemas["adg.v1.Fact"]}) {
  const more = moreOf(fact);
  const {before, subject, after} = parted(fact);
  return (
    <Text span className="wrap">
      {before}
      {more === undefined ? subject : <Link href={more}>{subject}</Link>}
      {after}
    </Text>
  );
}
