import { PipecatClientProvider } from "@pipecat-ai/client-react";
import { useEffect, useState } from "react";
import { LiveCall } from "./components/LiveCall";
import { loadPreferences, savePreferences } from "./media/preferences";
import { humanize } from "./session/labels";
import { forgetSession, keptSession, wasReloaded } from "./session/kept";
import type { Agent, Mode } from "./session/types";
import { useAgents } from "./session/useAgents";
import { useVoiceSession } from "./session/useVoiceSession";
import { Home } from "./views/Home";

export function App() {
  const [agents, reloadAgents] = useAgents();
  const [loaded] = useState(loadPreferences);
  const [kept] = useState(() => (wasReloaded() ? keptSession() : null));
  const [preferences, setPreferences] = useState(loaded);
  const session = useVoiceSession();
  const { state, client, start } = session;

  const { writing } = state;
  useEffect(() => savePreferences({ ...preferences, writing }), [preferences, writing]);

  const wanted =
    agents.status === "ready" && agents.agents.some((agent) => agent.name === preferences.agent)
      ? preferences.agent
      : null;
  const selected = wanted ?? (agents.status === "ready" ? agents.default : null);
  const modes = agents.status === "ready" ? modesOf(agents.agents, selected) : [];
  const mode = modes.find((one) => one === preferences.mode) ?? modes[0] ?? null;
  const [lastAgent, setLastAgent] = useState(kept?.agent ?? "agent");

  const startSelected = (writing: boolean, key = preferences.key): void => {
    if (selected === null) return;
    setLastAgent(selected);
    start({ ...preferences, server: "", agent: selected, mode, key, writing });
  };

  useEffect(() => {
    if (kept) start({ ...loaded, server: "", agent: kept.agent });
    else forgetSession();
  }, [kept, loaded, start]);

  if (state.voiceState !== "disconnected" && client) {
    return (
      <PipecatClientProvider client={client}>
        <main className="screen">
          <LiveCall
            session={session}
            agentLabel={humanize(lastAgent)}
            sound={preferences.sound}
            onSound={(sound) => setPreferences({ ...preferences, sound })}
            onMicrophone={(microphoneId) => setPreferences({ ...preferences, microphoneId })}
          />
        </main>
      </PipecatClientProvider>
    );
  }

  return (
    <Home
      agents={agents}
      selected={selected}
      modes={modes}
      mode={mode}
      session={state}
      agentLabel={humanize(lastAgent)}
      onSelect={(agent) => setPreferences({ ...preferences, agent })}
      onMode={(wanted) => setPreferences({ ...preferences, mode: wanted })}
      onStart={startSelected}
      onKey={(key) => {
        setPreferences({ ...preferences, key });
        startSelected(state.writing, key);
      }}
      onReloadAgents={reloadAgents}
      onDismissError={session.dismissError}
    />
  );
}

function modesOf(agents: Agent[], name: string | null): Mode[] {
  return agents.find((agent) => agent.name === name)?.modes ?? [];
}
