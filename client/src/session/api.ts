/** The runner's own HTTP API, next to what client-js calls. */
import { StartBotError } from "@pipecat-ai/client-js";
import { MODES } from "./types";
import type { Agent, Mode } from "./types";

/**
 * Absolute address of a path of the service.
 *
 * @param server where it is, relative to this page; "" for the server that served it
 */
export function serverUrl(path: string, server = ""): string {
  return new URL(path, new URL(server, document.baseURI)).toString();
}

export interface AgentList {
  agents: Agent[];
  default: string | null;
}

function isAgent(
  value: unknown,
): value is { name: string; description?: unknown; modes?: unknown } {
  return typeof value === "object" && value !== null && "name" in value
    ? typeof value.name === "string"
    : false;
}

function isMode(value: unknown): value is Mode {
  return MODES.some((mode) => mode === value);
}

/** Check what the server sent; what is not an agent is left out. */
export function parseAgents(body: unknown): AgentList {
  const { agents, default: preferred } = (body ?? {}) as { agents?: unknown; default?: unknown };
  const list = (Array.isArray(agents) ? agents : []).filter(isAgent).map((agent) => ({
    name: agent.name,
    description: typeof agent.description === "string" ? agent.description : "",
    modes: (Array.isArray(agent.modes) ? agent.modes : []).filter(isMode),
  }));
  const known = list.some((agent) => agent.name === preferred);
  return { agents: list, default: known ? (preferred as string) : (list[0]?.name ?? null) };
}

/**
 * Ask the server which agents it has.
 *
 * @throws Error if it cannot be reached, or answers with an error.
 */
export async function fetchAgents(signal: AbortSignal): Promise<AgentList> {
  const response = await fetch(serverUrl("agents"), { signal });
  if (!response.ok) throw new Error(`GET /agents: ${response.status}`);
  return parseAgents(await response.json());
}

/**
 * Start a session whose client comes to a WebSocket.
 *
 * @param transport one of docs/protocols.md
 * @param key what lets into the service; null where nothing is needed
 * @returns the WebSocket's address, with the token that lets into the session
 * @throws StartBotError as client-js does, also if the server cannot be reached
 */
export async function startSocketSession(
  transport: string,
  agent: string,
  key: string | null,
  signal: AbortSignal,
): Promise<string> {
  try {
    const response = await fetch(serverUrl("start"), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(key !== null && { "X-API-Key": key }) },
      body: JSON.stringify({ transport, body: { bot: agent } }),
      signal,
    });
    const body = (await response.json()) as { wsUrl?: unknown; error?: { message?: string } };
    if (response.ok && typeof body.wsUrl === "string") return body.wsUrl;
    throw new StartBotError(body.error?.message, response.status);
  } catch (error) {
    if (error instanceof StartBotError) throw error;
    throw new StartBotError(error instanceof Error ? error.message : undefined, 502);
  }
}
