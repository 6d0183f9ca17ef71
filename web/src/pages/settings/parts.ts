// The parts of the settings, each with its own address.
import {type ComponentType} from "react";
import {Connections} from "./connections";
import {Freezes} from "../../line/freezes";
import {Health} from "./health";
import {Own} from "./own";
import {Roles} from "./roles";
import {Server} from "./server";
import {Sessions} from "./sessions";
import {Stops} from "./stops";
import {Tokens} from "./tokens";
import {Users} from "./users";

export interface Part {
  name: string;
  title: string;
  Part: ComponentType;
}

export const parts: readonly Part[] = [
  {name: "own", title: "Your password", Part: Own},
  {name: "connections", title: "Connections", Part: Connections},
  {name: "stops", title: "Stop switch", Part: Stops},
  {name: "freezes", title: "Freezes", Part: Freezes},
  {name: "users", title: "Users", Part: Users},
  {name: "roles", title: "Roles", Part: Roles},
  {name: "tokens", title: "Tokens", Part: Tokens},
  {name: "sessions", title: "Sessions", Part: Sessions},
  {name: "health", title: "Health", Part: Health},
  {name: "server", title: "Server", Part: Server},
];
