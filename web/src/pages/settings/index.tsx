// What is set: people and what they may do, what ADG is connected to, and ADG itself.
import {NativeSelect, Title} from "@mantine/core";
import {Empty} from "../../ask/state";
import {Link, go, useParams} from "../../frame/router";
import {to} from "../../places";
import {parts} from "./parts";
import classes from "./settings.module.css";

export default function Page() {
  const {part: name = "own"} = useParams();
  const part = parts.find((one) => one.name === name);
  return (
    <>
      <Title order={1} mb="md">
        Settings
      </Title>
      <div className={classes.page}>
        <NativeSelect hiddenFrom="sm" aria-label="Part of the settings" value={name} data={parts.map((one) => ({value: one.name, label: one.title}))} onChange={(event) => go(to.settings(event.currentTarget.value))} />
        <nav aria-label="Settings" className={classes.parts}>
          {parts.map((one) => (
            <Link key={one.name} href={to.settings(one.name)} aria-current={one === part ? "page" : undefined} className={classes.part}>
              {one.title}
            </Link>
          ))}
        </nav>
        <div className={classes.body}>
          {part === undefined ? (
            <Empty>There is no part of the settings that is called {name}.</Empty>
          ) : (
            <>
              <Title order={2} mb="sm">
                {part.title}
              </Title>
              <part.Part key={part.name} />
            </>
          )}
        </div>
      </div>
    </>
  );
}
