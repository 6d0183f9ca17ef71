// The story of a deployment as a file.
import {Button, Group} from "@mantine/core";
import {Permitted, usePermission} from "../../ask/permission";
import {Icon} from "../../frame/icon";
import {type Deployment} from "./watched";

const formats = [
  {format: "REPORT_FORMAT_HTML", label: "Report", file: "", first: true},
  {format: "REPORT_FORMAT_MARKDOWN", label: "Report as Markdown", file: "md", first: false},
  {format: "REPORT_FORMAT_POST_MORTEM", label: "Draft of a post-mortem", file: "post-mortem.md", first: true},
  {format: "REPORT_FORMAT_JSON", label: "For programs (JSON)", file: "json", first: false},
] as const;

/** Links to the report in every format, or in those that people want first. */
export function ReportLinks({deployment: {id, release, environment}, few = false}: {deployment: Deployment; few?: boolean}) {
  const may = usePermission("report.read", release?.service ?? "", environment);
  return (
    <Group gap="xs">
      {formats
        .filter(({first}) => first || !few)
        .map(({format, label, file}) => {
          const href = `/v1/deployments/${encodeURIComponent(id)}/report?format=${format}`;
          return may.whyNot === "" ? (
            <Button key={format} component="a" href={href} variant="default" leftSection={<Icon name="book" />} {...(file === "" ? {target: "_blank", rel: "noopener"} : {download: `${id}.${file}`})}>
              {label}
            </Button>
          ) : (
            <Permitted key={format} by={may} variant="default" leftSection={<Icon name="book" />}>
              {label}
            </Permitted>
          );
        })}
    </Group>
  );
}
