import {Button, Group, Stack, Text} from "@mantine/core";
import {Failed} from "../../ask/state";
import {Badge} from "../../figures/badge";
import {count} from "../../figures/words";
import {type Problem} from "./asks";
import {type Linted, ordered} from "./lint";
import classes from "./policy.module.css";
import {inWords} from "./summary";

interface ProblemsProps {
  linted: Linted;
  show: (problem: Problem) => void; // in the editor
  use?: (problem: Problem) => void; // takes over what was probably meant
}

/** What the server says of the text: what is wrong, what is doubtful, and what it does where it can be used. */
export function Problems({linted, show, use}: ProblemsProps) {
  const {answer, error} = linted;
  if (answer === undefined) {
    return error === undefined ? <Text className="quiet">The text is being read …</Text> : <Failed error={error} />;
  }
  const problems = ordered(answer.problems);
  const fatal = problems.filter((problem) => problem.fatal).length;
  const doubts = problems.length - fatal;
  return (
    <Stack gap="sm">
      {error !== undefined && <Failed error={error} />}
      <div role="status">
        {fatal > 0 ? (
          <Badge tone="bad">{`${count(fatal, "mistake")}: it cannot be saved like this`}</Badge>
        ) : (
          <Badge tone={doubts > 0 ? "warn" : "good"}>{doubts > 0 ? `It can be saved; ${count(doubts, "doubt")}` : "It can be saved"}</Badge>
        )}
      </div>
      {problems.map((problem, i) => (
        <Problem key={i} problem={problem} show={show} use={use} />
      ))}
      {answer.policy !== undefined && (
        <div>
          <Text fw={600}>What it does</Text>
          <ul className={classes.list}>
            {inWords(answer.policy).map((sentence) => (
              <li key={sentence} className="wrap">
                {sentence}
              </li>
            ))}
          </ul>
          {answer.promise !== "" && (
            <Text size="sm" mt="xs" className="quiet wrap">
              {answer.promise}
            </Text>
          )}
        </div>
      )}
    </Stack>
  );
}

// Private

function Problem({problem, show, use}: {problem: Problem} & Omit<ProblemsProps, "linted">) {
  const {fatal, line, text, suggestion} = problem;
  return (
    <div className={classes.row}>
      <Group gap="xs" mb={4}>
        <Badge tone={fatal ? "bad" : "warn"}>{fatal ? "Mistake" : "Doubt"}</Badge>
        {line > 0 && (
          <Button size="compact-xs" variant="default" onClick={() => show(problem)}>
            Line {line}
          </Button>
        )}
        {suggestion !== "" && use !== undefined && (
          <Button size="compact-xs" onClick={() => use(problem)}>
            Use “{suggestion}”
          </Button>
        )}
      </Group>
      <Text size="sm" className="wrap">
        {text}
      </Text>
    </div>
  );
}
