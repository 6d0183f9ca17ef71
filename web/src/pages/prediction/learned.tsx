import {Text} from "@mantine/core";
import {Empty} from "../../ask/state";
import {digits} from "../../figures/words";
import {type Model} from "./asks";
import {direction, featureWords} from "./figures";
import classes from "./prediction.module.css";

/** What a model learned: which facts move its predictions, how far, and which way. */
export function Learned({model}: {model: Model | undefined}) {
  if (model === undefined || model.learned.length === 0) {
    return <Empty>No model is in use yet: what it learned is shown here once one was trained.</Empty>;
  }
  const most = Math.max(...model.learned.map(({importance}) => importance), 1e-9);
  return (
    <div>
      {model.learned.map(({feature, importance, direction: way}) => (
        <div key={feature} className={classes.row}>
          <Text size="sm" fw={600} className="wrap">
            {featureWords(feature)}{" "}
            <Text span size="sm" fw={400} className="quiet">
              ({feature})
            </Text>
          </Text>
          <div className={classes.bar} data-way={Math.abs(way) < 0.1 ? "both" : way < 0 ? "down" : "up"} style={{width: `${(100 * importance) / most}%`}} aria-hidden="true" />
          <Text size="sm">
            moves a prediction by {digits(importance)} percentage points on average; {direction(way)}
          </Text>
        </div>
      ))}
    </div>
  );
}
