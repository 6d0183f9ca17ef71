// The server that this page came from, and how its answers are read.
import {ApiError, connect, type Schemas, type Server} from "../api/client";

export {ApiError, type Schemas};

/** The server, asked with the browser's session. */
export const server: Server = {url: window.location.origin, fetch: asked};

/** Its calls: api.GET("/v1/services", {signal}). Whoever is not logged in (any more) is sent to the login. */
export const api = connect(server);

/** What a call was answered with; a refusal rejects with an ApiError before it comes here. */
export async function answer<T>(call: Promise<{data?: T}>): Promise<T> {
  const {data} = await call;
  return data as T;
}

/** All pages of a list, up to so many rows. */
export async function all<T, P extends {nextPageToken: string}>(page: (token: string) => Promise<{data?: P}>, rows: (page: P) => readonly T[], most = 5000): Promise<T[]> {
  const found: T[] = [];
  for (let token = ""; ; ) {
    const one = await answer(page(token));
    found.push(...rows(one));
    token = one.nextPageToken;
    if (token === "" || found.length >= most) {
      return found;
    }
  }
}

/** Whether somebody is logged in, and may not; or there is nothing that he could see. */
export function isForbidden(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 403;
}

export function isNotFound(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status === 404;
}

/** An error as a sentence with the way out of it, for a person. */
export function explained(error: unknown): {sentence: string; wayOut: string; requestId: string} {
  if (error instanceof ApiError) {
    return {sentence: sentenceOf(error.message), wayOut: sentenceOf(error.wayOut), requestId: error.requestId};
  }
  if (error instanceof TypeError) {
    return {sentence: "The server does not answer.", wayOut: "It is asked again by itself. If that lasts, look whether the server runs and the network is there.", requestId: ""};
  }
  return {sentence: sentenceOf(error instanceof Error ? error.message : String(error)), wayOut: "", requestId: ""};
}

/** Goes to the login, and from there back to where we are. */
export function toLogin(): void {
  window.location.assign(`/login?${new URLSearchParams({return_to: window.location.pathname + window.location.search})}`);
}

/** A new idempotency key. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Private

async function asked(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request);
  if (response.status === 401) {
    toLogin();
  }
  return response;
}

function sentenceOf(text: string): string {
  if (text === "") {
    return "";
  }
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
