import {Text} from "@mantine/core";
import {type Schemas} from "../ask/api";

/** A line of a log pattern, with how bad it says that it is. */
export function Example({of}: {of: Pick<Schemas["adg.v1.LogPattern"], "level" | "example">}) {
  return (
    <Text size="sm" className="quiet wrap">
      {levels[of.level]}: {of.example}
    </Text>
  );
}

// Private

const levels: Record<Schemas["adg.v1.LogLevel"], string> = {
  LOG_LEVEL_UNSPECIFIED: "No level",
  LOG_LEVEL_DEBUG: "Debug",
  LOG_LEVEL_INFO: "Info",
  LOG_LEVEL_WARN: "Warning",
  LOG_LEVEL_ERROR: "Error",
  LOG_LEVEL_PANIC: "Panic",
};
