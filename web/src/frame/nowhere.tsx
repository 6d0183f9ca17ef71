import {Text, Title} from "@mantine/core";
import {Link} from "./router";

/** What is shown at an address that leads nowhere. */
export function Nowhere({path}: {path: string}) {
  return (
    <>
      <Title order={1}>There is no such page</Title>
      <Text mt="md" className="wrap">
        Nothing is at {path}. <Link href="/">See what is being deployed now</Link>.
      </Text>
    </>
  );
}
