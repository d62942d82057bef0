/** The pages of the JSON protocols. */
import { useCallback, useEffect, useState } from "react";
import { BotAudio } from "../components/BotAudio";
import { loadPreferences, savePreferences } from "../media/preferences";
import { humanize } from "../session/labels";
import { useAgents } from "../session/useAgents";
import { ProtocolView } from "../views/ProtocolView";
import "../styles/protocols.css";
import type { Protocol } from "./protocol";
import { REALTIME } from "./realtime";
import { SANDWICH } from "./sandwich";
import { useConversation } from "./useConversation";
import { VOICE_AGENT } from "./voiceAgent";

interface PageProps {
  protocol: Protocol;
  title: string;
  line: string;
}

export function PushToTalk() {
  return (
    <Page
      protocol={VOICE_AGENT}
      title="Push to talk"
      line="Hold a button while you speak. The answer comes when you let go."
    />
  );
}

export function Sandwich() {
  return (
    <Page
      protocol={SANDWICH}
      title="Sandwich"
      line="See each step: what was heard, what the agent does and writes, and its voice."
    />
  );
}

export function Realtime() {
  return (
    <Page
      protocol={REALTIME}
      title="Realtime"
      line="Speak at any time, also over the agent. It falls silent, and listens."
    />
  );
}

function Page({ protocol, title, line }: PageProps) {
  const [agents, reloadAgents] = useAgents();
  const [preferences, setPreferences] = useState(loadPreferences);
  const [attempt, setAttempt] = useState(0);
  const [called, setCalled] = useState<string | null>(null);
  const conversation = useConversation(protocol);
  const { state, start, setNotice } = conversation;

  useEffect(() => savePreferences(preferences), [preferences]);

  useEffect(() => {
    const before = document.title;
    document.title = `${title} · Parlante`;
    return () => {
      document.title = before;
    };
  }, [title]);

  const known = agents.status === "ready" ? agents : { agents: [], default: null };
  const selected =
    known.agents.find((agent) => agent.name === preferences.agent)?.name ?? known.default;

  const onBlocked = useCallback(() => setNotice({ kind: "sound-blocked" }), [setNotice]);
  const startWith = (key: string | null): void => {
    if (selected === null) return;
    setCalled(selected);
    start(selected, preferences.microphoneId, key);
  };

  return (
    <>
      <BotAudio
        track={conversation.botTrack}
        sound={preferences.sound}
        speakerId={null}
        attempt={attempt}
        onBlocked={onBlocked}
      />
      <ProtocolView
        title={title}
        line={line}
        talk={protocol.talk}
        state={state}
        agents={agents}
        selected={selected}
        agentLabel={humanize(called ?? "agent")}
        micTrack={conversation.micTrack}
        botTrack={conversation.botTrack}
        onSelect={(agent) => setPreferences({ ...preferences, agent })}
        onStart={() => startWith(preferences.key)}
        onKey={(key) => {
          setPreferences({ ...preferences, key });
          startWith(key);
        }}
        onEnd={conversation.end}
        onHold={conversation.hold}
        onLetGo={conversation.letGo}
        onHandsFree={conversation.setHandsFree}
        onMute={conversation.setMuted}
        onReloadAgents={reloadAgents}
        onDismissError={conversation.dismissError}
        onDismissNotice={() => setNotice(null)}
        onUnblockSound={() => {
          setNotice(null);
          setAttempt((count) => count + 1);
        }}
      />
    </>
  );
}
