// The server that the stories are told of: the real program, with the demo in it, on SQLite. ADG_BINARY says where the
// program is.
import {type ChildProcess, spawn} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import type {TestProject} from "vitest/node";

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

  /** Starts the program with the demo in it, and waits until it serves. One that was stopped goes on in its folder, at
   * its address. */
  static async demo({dir, listen = "127.0.0.1:0", fault = "errors"}: {dir?: string; listen?: string; fault?: string} = {}): Promise<Server> {
    const data = dir ?? mkdtempSync(join(tmpdir(), "adg-e2e-"));
    const binary = process.env["ADG_BINARY"];
    if (binary === undefined) {
      throw new Error("ADG_BINARY does not say where adg is");
    }
    const program = spawn(binary, ["demo", "--serve", "--fault", fault, "--listen", listen, "--data-dir", data], {stdio: ["ignore", "pipe", "pipe"]});
    const served = await said(program);
    return new Server(program, served, data, dir !== undefined);
  }

  /** Ends the program, as an interrupt does, and waits until it has ended. */
  async stop({keep = this.keep} = {}): Promise<void> {
    const ended = new Promise((resolve) => this.program.once("exit", resolve));
    if (this.program.exitCode === null) {
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

/** Starts the one server that all stories share. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await Server.demo();
  project.provide("served", server.served);
  return () => server.stop();
}

// Private

const greeting = /Log in at (\S+)\/login as (\S+) with the password (\S+),[\s\S]*ADG_TOKEN=(\S+)/;

function said(program: ChildProcess): Promise<Served> {
  return new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`the server did not come up: ${text}`)), 60_000);
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const found = greeting.exec(text);
      if (found !== null) {
        clearTimeout(late);
        const [, url = "", name = "", password = "", token = ""] = found;
        resolve({url, name, password, token});
      }
    };
    program.stdout?.on("data", read);
    program.stderr?.on("data", read);
    program.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
  });
}
