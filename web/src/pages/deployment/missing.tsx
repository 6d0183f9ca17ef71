import {Text} from "@mantine/core";
import {Empty} from "../../ask/state";
import {Link} from "../../frame/router";

/** What is shown where there is no deployment of that name. */
export function Missing({id}: {id: string}) {
  return (
    <Empty>
      <Text className="wrap">There is no deployment {id}. It may be of another server, or its record was deleted.</Text>
      <Link href="/">See what is being deployed now</Link>
    </Empty>
  );
}
