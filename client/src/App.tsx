import { PipecatClientProvider } from "@pipecat-ai/client-react";
import { useEffect, useState } from "react";
import { LiveCall } from "./components/LiveCall";
import { loadPreferences, savePreferences } from "./media/preferences";
import { humanize } from "./session/labels";
import { forgetSession, keptSession, wasReloaded } from "./session/kept";
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

  useEffect(() => savePreferences(preferences), [preferences]);

  const wanted =
    agents.status === "ready" && agents.agents.some((agent) => agent.name === preferences.agent)
      ? preferences.agent
      : null;
  const selected = wanted ?? (agents.status === "ready" ? agents.default : null);
  const [lastAgent, setLastAgent] = useState(kept?.agent ?? "agent");

  const startSelected = (key: string | null): void => {
    if (selected === null) return;
    setLastAgent(selected);
    start(selected, preferences.microphoneId, key);
  };

  useEffect(() => {
    if (kept) start(kept.agent, loaded.microphoneId, loaded.key);
    else forgetSession();
  }, [kept, loaded, start]);

  if (state.voiceState !== "disconnected" && client) {
    return (
      <PipecatClientProvider client={client}>
        <LiveCall
          session={session}
          agentLabel={humanize(lastAgent)}
          sound={preferences.sound}
          onSound={(sound) => setPreferences({ ...preferences, sound })}
          onMicrophone={(microphoneId) => setPreferences({ ...preferences, microphoneId })}
        />
      </PipecatClientProvider>
    );
  }

  return (
    <Home
      agents={agents}
      selected={selected}
      session={state}
      agentLabel={humanize(lastAgent)}
      onSelect={(agent) => setPreferences({ ...preferences, agent })}
      onStart={() => startSelected(preferences.key)}
      onKey={(key) => {
        setPreferences({ ...preferences, key });
        startSelected(key);
      }}
      onReloadAgents={reloadAgents}
      onDismissError={session.dismissError}
    />
  );
}
