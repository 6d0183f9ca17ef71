// The server that the stories are told of: the real program, with the demo in it, on SQLite. ADG_BINARY says where the
// program is.
import {type ChildProcess, execFileSync, spawn} from "node:child_process";
import {existsSync, mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import type {TestProject} from "vitest/node";
import {stream} from "../src/api/client";

export interface Served {
  url: string;
  name: string;
  password: string;
  token: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    served: Served;
  }
}

/** A server that was started. */
export class Server {
  private constructor(
    private readonly program: ChildProcess,
    readonly served: Served,
    readonly dir: string,
    private readonly keep: boolean,
  ) {}

  /** Starts the program with the demo in it, and waits until it serves. In a folder that it is given it leaves what it
   * has made. */
  static async demo({dir, listen = "127.0.0.1:0", fault = "errors"}: {dir?: string; listen?: string; fault?: string} = {}): Promise<Server> {
    const data = dir ?? mkdtempSync(join(tmpdir(), "adg-e2e-"));
    const program = spawn(binary(), ["demo", "--serve", "--fault", fault, "--listen", listen, "--data-dir", data], {stdio: ["ignore", "pipe", "pipe"]});
    const [, url = "", name = "", password = "", token = ""] = await said(program, greeting);
    const served = {url, name, password, token};
    return new Server(program, served, data, dir !== undefined);
  }

  /** Starts the program with the demo in it, and waits until that is over: its good release was promoted, its bad one rolled
   * back. On a machine with much else to do the shop is sometimes slow enough for the good one to be rolled back: then
   * another server is started. */
  static async demonstrated(): Promise<Server> {
    for (let tries = 0; tries < 5; tries++) {
      const server = await Server.demo();
      if (await wentWell(server.served)) {
        return server;
      }
      await server.stop();
    }
    throw new Error("the demo never went as it should");
  }

  /** Starts the program with nothing in it, and makes its first admin. */
  static async empty(): Promise<Server> {
    const data = mkdtempSync(join(tmpdir(), "adg-e2e-"));
    execFileSync(binary(), ["key", "new", "--out", join(data, "seal.key")]);
    const {program, url, first} = await plain(data, "127.0.0.1:0");
    const served = {url, name: "ann", password: "four or five words", token: first};
    const ask = async (path: string, body: object) => {
      const answer = await fetch(url + path, {method: "POST", headers: {authorization: `Bearer ${first}`}, body: JSON.stringify({...body, reason: "a story"})});
      if (!answer.ok) {
        throw new Error(`${path}: ${await answer.text()}`);
      }
    };
    await ask("/v1/users", {name: served.name, password: served.password});
    await ask("/v1/bindings", {subject: `user:${served.name}`, role: "admin", service: "*", environment: "*"});
    return new Server(program, served, data, false);
  }

  /** Starts what empty has made again, once it was stopped, at that address: whoever was logged in still is. */
  async again(listen: string): Promise<Server> {
    const {program} = await plain(this.dir, listen);
    return new Server(program, this.served, this.dir, false);
  }

  /** Ends the program, as an interrupt does, and waits until it has ended. */
  async stop({keep = this.keep} = {}): Promise<void> {
    const ended = new Promise((resolve) => this.program.once("exit", resolve));
    if (this.program.exitCode === null && this.program.signalCode === null) {
      this.program.kill("SIGTERM");
      // What goes on may take its time to end; a story does not wait for it.
      const second = setTimeout(() => this.program.kill("SIGTERM"), 3000);
      await ended;
      clearTimeout(second);
    }
    if (!keep) {
      rmSync(this.dir, {recursive: true, force: true});
    }
  }
}

/** Starts the one server that all stories share; its demo is over. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await Server.demonstrated();
  project.provide("served", server.served);
  return () => server.stop();
}

// Private

const greeting = /Log in at (\S+)\/login as (\S+) with the password (\S+),[\s\S]*ADG_TOKEN=(\S+)/;
const serving = /"msg":"serving".*?"address":"([^"]+)"/;
const firstToken = /(adgfirst_\S+)/;

/** Waits until the demo is over: v2 is live, and v3 was rolled back. */
async function wentWell({url, token}: Served): Promise<boolean> {
  for await (const {changed} of stream({url, token}, "/v1/deployments:watch", {}, AbortSignal.timeout(300_000))) {
    for (const {version, state, endTime} of changed) {
      if (endTime !== undefined && (version === "v3" || state !== "STATE_SUCCEEDED")) {
        return version === "v3" && state === "STATE_ROLLED_BACK";
      }
    }
  }
  return false;
}

function binary(): string {
  const found = process.env["ADG_BINARY"];
  if (found === undefined) {
    throw new Error("ADG_BINARY does not say where adg is");
  }
  return found;
}

async function plain(data: string, listen: string): Promise<{program: ChildProcess; url: string; first: string}> {
  const fresh = !existsSync(join(data, "adg.db"));
  const program = spawn(binary(), ["server", "--listen", listen, "--insecure-http", "--data", data, "--seal-active-file", join(data, "seal.key")], {stdio: ["ignore", "pipe", "pipe"]});
  const [[, url = ""], [, first = ""]] = await Promise.all([said(program, serving), fresh ? said(program, firstToken) : [""]]);
  return {program, url, first};
}

// said waits until a program has said something.
function said(program: ChildProcess, what: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`the server did not come up: ${text}`)), 60_000);
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const found = what.exec(text);
      if (found !== null) {
        clearTimeout(late);
        resolve(found);
      }
    };
    program.stdout?.on("data", read);
    program.stderr?.on("data", read);
    program.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
}
