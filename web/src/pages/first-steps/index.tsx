// First steps: from an empty server to the first guarded deployment, with the demo one click away.
import {Button, CopyButton, Group, Progress, Stack, Text, Title} from "@mantine/core";
import {type Schemas, answer, api} from "../../ask/api";
import {useAsk} from "../../ask/ask";
import {State} from "../../ask/state";
import {count} from "../../figures/words";
import {Icon} from "../../frame/icon";
import {Demo} from "./demo";
import classes from "./first-steps.module.css";

type Setup = Schemas["adg.v1.Setup"];

export default function FirstSteps() {
  // A step is done elsewhere, most often in a terminal beside this page: it is asked for again all the time.
  const setup = useAsk("setup", (signal) => answer(api.GET("/v1/system/setup", {signal})), {every: 5_000});
  return (
    <>
      <Title order={1} mb="md">
        First steps
      </Title>
      <State of={setup} what="what is left to do">
        {(known) => (
          <Stack gap="lg">
            <Done setup={known} />
            {known.demoAvailable && <Demo />}
            <ol className={classes.steps}>
              {known.steps.map((step, i) => (
                <Step key={step.name} step={step} next={!step.done && known.steps.slice(0, i).every((one) => one.done)} />
              ))}
            </ol>
          </Stack>
        )}
      </State>
    </>
  );
}

// Private

function Done({setup}: {setup: Setup}) {
  const done = setup.steps.filter((step) => step.done).length;
  const words = setup.complete ? "Everything is done: deployments on this server are guarded." : `${done} of ${count(setup.steps.length, "step")} done. Five minutes are enough for the rest.`;
  return (
    <div>
      <Text role="status" mb={6}>
        {words}
      </Text>
      <Progress value={(100 * done) / Math.max(1, setup.steps.length)} aria-label="steps done" />
    </div>
  );
}

function Step({step, next}: {step: Setup["steps"][number]; next: boolean}) {
  return (
    <li className={`card ${classes.step}`} data-done={step.done || undefined} data-next={next || undefined} aria-current={next ? "step" : undefined}>
      <span className={classes.sign}>
        <Icon name={step.done ? "good" : "wait"} size={22} />
      </span>
      <div className={classes.words}>
        <Text fw={next ? 650 : 400}>
          {step.text} <span className="quiet">{step.done ? "Done." : next ? "This is next." : ""}</span>
        </Text>
        {!step.done && step.example !== "" && <Example text={step.example} what={step.name} />}
      </div>
    </li>
  );
}

function Example({text, what}: {text: string; what: string}) {
  return (
    <Group gap="xs" align="flex-start" mt="xs" wrap="nowrap">
      <pre className={classes.example}>
        <code>{text}</code>
      </pre>
      <CopyButton value={text}>
        {({copied, copy}) => (
          <Button size="compact-sm" variant="default" onClick={copy} aria-label={`Copy the command for ${what}`} style={{flex: "none"}}>
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}
