// What a deployment is: who wanted it, what is deployed, how it is guarded; and its report.
import {Anchor, Button, Stack, Table, Text, Title} from "@mantine/core";
import {type ReactNode, useState} from "react";
import {answer, api, type Schemas} from "../../ask/api";
import {State} from "../../ask/state";
import {useAsk} from "../../ask/ask";
import {count} from "../../figures/words";
import {Link} from "../../frame/router";
import {Time} from "../../frame/time";
import {to} from "../../places";
import {ReportLinks} from "./reports";
import {type Deployment} from "./watched";
import {sentence} from "./words";

export function About({deployment}: {deployment: Deployment}) {
  const {release, lastGood, environment, policyVersion, labels, status} = deployment;
  const service = release?.service ?? "";
  return (
    <Stack gap="md">
      <Reports deployment={deployment} />
      <section className="card" aria-labelledby="about">
        <Title order={2} id="about" mb="xs">
          What it is
        </Title>
        <Table variant="vertical" layout="fixed" aria-label="What it is">
          <Table.Tbody>
            <Row name="Asked for">
              <Time at={deployment.createTime} both /> by {deployment.actor || "somebody"}
            </Row>
            <Row name="Why">{deployment.reason}</Row>
            <Row name="Author of the change">{deployment.author}</Row>
            <Row name="Release">{releaseWords(release)}</Row>
            <Row name="A rollback goes to">{lastGood === undefined ? "nowhere: no good release is on record" : releaseWords(lastGood)}</Row>
            <Row name="Policy">
              <Anchor component={Link} href={to.policy(service, environment)} underline="always">
                version {policyVersion} of {service} in {environment}
              </Anchor>
            </Row>
            <Row name="Ends at the latest">{status?.deadlineTime === undefined ? "" : <Time at={status.deadlineTime} both />}</Row>
            {Object.entries(labels).map(([name, value]) => (
              <Row key={name} name={name}>
                {value}
              </Row>
            ))}
            <Row name="Id">{deployment.id}</Row>
          </Table.Tbody>
        </Table>
      </section>
      <Replay id={deployment.id} />
    </Stack>
  );
}

// Private

function Row({name, children}: {name: string; children: ReactNode}) {
  return (
    <Table.Tr>
      <Table.Th w={{base: 120, sm: 200}} className="wrap">
        {name}
      </Table.Th>
      <Table.Td className="wrap">{children === "" || children === undefined ? <span className="quiet">nobody said</span> : children}</Table.Td>
    </Table.Tr>
  );
}

function releaseWords(release: Schemas["adg.v1.Release"] | undefined): string {
  if (release === undefined) {
    return "";
  }
  const parts = [release.artifact, release.config === "" ? "" : `config ${release.config}`, release.commit === "" ? "" : `commit ${release.commit}`, release.schema === "" ? "" : `schema ${release.schema}`].filter((part) => part !== "");
  return parts.length === 0 ? release.version : `${release.version} (${parts.join(", ")})`;
}

function Reports({deployment}: {deployment: Deployment}) {
  return (
    <section className="card" aria-labelledby="reports">
      <Title order={2} id="reports" mb={4}>
        Its story, to keep and to send
      </Title>
      <Text size="sm" mb="sm">
        The timeline, the decisions with their evidence, and the measurements as plots, in one file that opens without a network.
      </Text>
      <ReportLinks deployment={deployment} />
    </section>
  );
}

// Whether the decisions follow from what is on record.
function Replay({id}: {id: string}) {
  const [wanted, setWanted] = useState(false);
  const asked = useAsk(wanted ? `deployment/${id}/replay` : undefined, (signal) => answer(api.GET("/v1/deployments/{deployment}/decisions:replay", {params: {path: {deployment: id}}, signal})));
  return (
    <section className="card" aria-labelledby="replay">
      <Title order={2} id="replay" mb={4}>
        Would it be decided the same again?
      </Title>
      <Text size="sm" mb="sm">
        Every decision is made again from the evidence that is on record, and compared.
      </Text>
      {wanted ? (
        <State of={asked} what="the decisions made again">
          {(found) => (
            <div role="status">
              <Text fw={600}>
                {count(Number(found.decisions), "decision")} {found.equal ? "came out the same." : "were made again, and some differ:"}
              </Text>
              {found.differences.map((text) => (
                <Text key={text} size="sm" className="wrap">
                  {sentence(text)}
                </Text>
              ))}
              {found.compacted && <Text size="sm">Some of the evidence was forgotten since.</Text>}
            </div>
          )}
        </State>
      ) : (
        <Button variant="default" onClick={() => setWanted(true)}>
          Decide again
        </Button>
      )}
    </section>
  );
}
