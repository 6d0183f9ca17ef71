import {Title} from "@mantine/core";
import {Loading} from "../../ask/state";

export default function Page() {
  return (
    <>
      <Title order={1} mb="md">
        First steps
      </Title>
      <Loading what="first steps" />
    </>
  );
}
