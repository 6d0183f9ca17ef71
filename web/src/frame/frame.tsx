// The frame around every page: where one can go, who one is, and whether what is shown still holds.
import {ActionIcon, AppShell, Badge, Burger, Group, NavLink, Text, Tooltip, useMantineColorScheme} from "@mantine/core";
import {type ReactNode, useEffect, useState} from "react";
import {useMe} from "../ask/permission";
import {whole} from "../figures/words";
import {useLive} from "../live/deployments";
import {useUnsettled} from "../live/unsettled";
import {placeOf, places} from "../places";
import {ConnectionBar} from "./connection";
import {Icon} from "./icon";
import {KeyList, useKeys} from "./keys";
import {Palette, offer} from "./palette";
import {Person} from "./person";
import {Link, go, useLocation} from "./router";
import {zone} from "./zone";
import classes from "./frame.module.css";

export function Frame({children}: {children: ReactNode}) {
  const {path} = useLocation();
  const [menu, setMenu] = useState<string>(); // the path at which it was opened: it closes when one goes elsewhere
  const [shown, setShown] = useState<"keys" | "palette">();
  const opened = menu === path;
  const title = placeOf(path)?.place.title ?? "No such page";
  useEffect(() => {
    document.title = `${title} – ADG`;
  }, [title]);
  useKeys([
    {keys: "?", does: "Show this list", run: () => setShown("keys")},
    {keys: "mod+k", does: "Go to a page, a deployment or a service, or do something", run: () => setShown((was) => (was === "palette" ? undefined : "palette"))},
    ...places.filter((place) => place.key !== undefined).map((place) => ({keys: `g ${place.key}`, does: `Go to ${place.title}`, run: () => go(place.menu!)})),
  ]);
  const {setColorScheme} = useMantineColorScheme();
  useEffect(
    () =>
      offer([
        {name: "Show the keys", kind: "Action", icon: "keys", run: () => setShown("keys")},
        {name: "Dark colours", kind: "Action", icon: "sun", run: () => setColorScheme("dark")},
        {name: "Light colours", kind: "Action", icon: "sun", run: () => setColorScheme("light")},
        {name: "The system's colours", kind: "Action", icon: "sun", run: () => setColorScheme("auto")},
        {name: "Times in UTC", kind: "Action", icon: "clock", run: () => zone.set("UTC")},
        {name: "Times in this browser's zone", kind: "Action", icon: "clock", run: () => zone.set("local")},
      ]),
    [setColorScheme],
  );
  return (
    <AppShell header={{height: 52}} navbar={{width: 200, breakpoint: "sm", collapsed: {mobile: !opened}}} padding={{base: "xs", sm: "md"}} withBorder>
      <a href="#page" className="skip">
        Skip to the page
      </a>
      <AppShell.Header className={classes.header}>
        <Group h="100%" px="sm" gap="xs" wrap="nowrap">
          <Burger opened={opened} onClick={() => setMenu(opened ? undefined : path)} hiddenFrom="sm" size="sm" aria-label="Menu" aria-expanded={opened} />
          <Link href="/" className={classes.mark}>
            <Icon name="shield" size={22} />
            <Text span fw={700}>
              ADG
            </Text>
          </Link>
          <div style={{flex: 1}} />
          <Tooltip label="Go to or do (ctrl K)">
            <ActionIcon variant="default" size="lg" aria-label="Go to or do" onClick={() => setShown("palette")}>
              <Icon name="search" />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Keys (?)">
            <ActionIcon variant="default" size="lg" aria-label="Keys" onClick={() => setShown("keys")} visibleFrom="xs">
              <Icon name="keys" />
            </ActionIcon>
          </Tooltip>
          <Person />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages" className={classes.navigation}>
        <Navigation path={path} leave={() => setMenu(undefined)} />
      </AppShell.Navbar>
      <AppShell.Main id="page" tabIndex={-1} className={classes.main}>
        <ConnectionBar />
        {children}
      </AppShell.Main>
      <KeyList opened={shown === "keys"} close={() => setShown(undefined)} />
      <Palette opened={shown === "palette"} close={() => setShown(undefined)} />
    </AppShell>
  );
}

// Private

function Navigation({path, leave}: {path: string; leave: () => void}) {
  const here = placeOf(path)?.place;
  const {data} = useMe();
  const may = (needs: string | undefined) => needs === undefined || data === undefined || data.grants.some((g) => g.permission === needs);
  return places
    .filter((place) => place.menu !== undefined)
    .map((place) => {
      const allowed = may(place.needs);
      // The page itself says what one may not see, and who could let one.
      return (
        <NavLink
          key={place.name}
          component={Link}
          href={place.menu!}
          label={place.title}
          description={allowed ? undefined : "You may not see it"}
          leftSection={<Icon name={place.icon} />}
          rightSection={place.name === "now" ? <Bad /> : undefined}
          active={here === place}
          aria-current={here === place ? "page" : undefined}
          onClick={leave}
          onPointerEnter={() => void place.Page.ahead()}
          className={classes.place}
          classNames={{description: classes.why}}
        />
      );
    });
}

/** How many deployments are in trouble, seen from every page. */
function Bad() {
  const {rows} = useLive();
  const bad = useUnsettled().length + [...rows.values()].filter((row) => row.health === "HEALTH_UNHEALTHY" || row.paging || row.waitsForHuman).length;
  return bad === 0 ? null : (
    <Badge size="sm" color="red" variant="filled" circle={bad < 10} aria-label={`${bad} need a look`}>
      {whole(bad)}
    </Badge>
  );
}
