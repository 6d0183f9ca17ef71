// Who the person is, and what he may do: what he may not is shown, disabled, with why.
import {Button, type ButtonProps, Tooltip} from "@mantine/core";
import {type ReactNode, useId} from "react";
import {answer, api, type Schemas} from "./api";
import {ahead, useAsk} from "./ask";

export type Me = Schemas["adg.v1.WhoAmIResponse"];

/** Who is logged in. */
export function useMe() {
  return useAsk("me", askMe, {every: 60_000});
}

/** Asks who is logged in while what wants to know is still on its way. */
export function meAhead(): void {
  ahead("me", askMe);
}

export interface Permission {
  allowed: boolean;
  whyNot: string; // as a sentence; empty: he may, or it is not known yet
}

/** Whether the person may do something with a service in an environment; without them, with what belongs to the whole
 * server. */
export function usePermission(permission: string, service = "", environment = ""): Permission {
  const {data} = useMe();
  const granted = data?.grants.some((g) => g.permission === permission && covers(g.service, service) && covers(g.environment, environment));
  const query = {permission, service, environment};
  const why = useAsk(granted === false ? `me/check/${Object.values(query).join("/")}` : undefined, (signal) => answer(api.GET("/v1/me:check", {params: {query}, signal})));
  return {allowed: granted ?? false, whyNot: granted === false ? (why.data?.whyNot ?? "You may not do this.") : ""};
}

/** Whether the person may do something anywhere at all. */
export function useAnywhere(permission: string): boolean {
  return useMe().data?.grants.some((g) => g.permission === permission) ?? false;
}

/** Whether a pattern of a grant covers a name: '*' covers all, even the whole server. */
export function covers(pattern: string, name: string): boolean {
  if (pattern === "*") {
    return true;
  }
  return pattern.endsWith("*") ? name !== "" && name.startsWith(pattern.slice(0, -1)) : pattern === name;
}

const askMe = (signal: AbortSignal) => answer(api.GET("/v1/me", {signal}));

interface PermittedProps extends ButtonProps {
  by: Permission; // of usePermission, or what the server says with a deployment
  onClick?: () => void;
  children: ReactNode;
}

/** A button that can be reached and read when it may not be used: why it is disabled is said by it. */
export function Permitted({by, onClick, children, ...rest}: PermittedProps) {
  const id = useId();
  if (by.allowed) {
    return (
      <Button {...rest} onClick={onClick}>
        {children}
      </Button>
    );
  }
  return (
    <Tooltip label={by.whyNot} disabled={by.whyNot === ""} multiline maw={320} events={{hover: true, focus: true, touch: true}}>
      <Button {...rest} data-disabled aria-disabled aria-describedby={by.whyNot === "" ? undefined : id} onClick={(event) => event.preventDefault()}>
        {children}
        <span id={id} hidden>
          {by.whyNot}
        </span>
      </Button>
    </Tooltip>
  );
}
