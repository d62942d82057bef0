/** A call to an agent, for the pages of other apps. */
import { PipecatClientProvider } from "@pipecat-ai/client-react";
import { useEffect, useEffectEvent, useState } from "react";
import { FailureCard } from "../components/FailureCard";
import { LiveCall } from "../components/LiveCall";
import { describeError } from "../components/problems";
import { DEFAULT_PREFERENCES } from "../media/preferences";
import { forgetSession, wasReloaded } from "../session/kept";
import { humanize } from "../session/labels";
import type { Mode, SessionState } from "../session/types";
import { useVoiceSession } from "../session/useVoiceSession";
import { ShadowIsland } from "./ShadowIsland";
import { STYLES } from "./styles";

/** How a call went: who ended it, from when to when (ms since 1970), and what was said and heard. */
export type EndedCall = Pick<SessionState, "endedBy" | "startedAt" | "endedAt" | "transcript">;

export interface VoiceModeProps {
  /** The agent's name, one of `GET /agents`. */
  agent: string;
  /** What the user reads as its name; without it, `smart_router` is "Smart router". */
  agentLabel?: string;
  /** Where the service is: "https://voice.example.com/". Without it, where the page is from. */
  serverUrl?: string;
  /**
   * What lets into the service: a JSON Web Token of your app's own, or an API key. Without it, the
   * user is asked for a key if one is needed.
   */
  accessKey?: string;
  /** How the agent is talked with, where it can be in several ways; without it, its usual way. */
  mode?: Mode;
  /** Whether the conversation begins in writing, without a microphone. */
  writing?: boolean;
  /**
   * The call is over, and the user has seen why: take the element off the page. Without it, they
   * can call again.
   */
  onEnd?: (call: EndedCall) => void;
}

/**
 * Calls an agent when it is put on a page, and hangs up when it is taken off. It fills the element
 * around it, which needs a height; another agent, server, key or mode is another call.
 */
export function VoiceMode(props: VoiceModeProps) {
  const { serverUrl, agent, mode, accessKey } = props;
  return (
    <ShadowIsland css={STYLES}>
      <div className="embedded">
        <div className="parlante">
          <EmbeddedCall key={[serverUrl, agent, mode, accessKey].join()} {...props} />
        </div>
      </div>
    </ShadowIsland>
  );
}

function EmbeddedCall(props: VoiceModeProps) {
  const { agent, serverUrl: server = "", mode = null, onEnd } = props;
  const session = useVoiceSession();
  const { state, client, start } = session;
  const [sound, setSound] = useState(DEFAULT_PREFERENCES.sound);
  const [microphoneId, setMicrophoneId] = useState<string | null>(null);
  const [accessKey, setAccessKey] = useState(props.accessKey ?? null);
  const agentLabel = props.agentLabel ?? humanize(agent);

  const call = (writing: boolean, key = accessKey): void => {
    start({ server, agent, mode, microphoneId, key, writing });
  };

  const begin = useEffectEvent(() => {
    if (!wasReloaded()) forgetSession();
    call(props.writing ?? false);
  });
  useEffect(() => begin(), []);

  const isOver = state.endedBy !== null && state.error === null;
  const tellEnd = useEffectEvent(() => {
    const { endedBy, startedAt, endedAt, transcript } = state;
    onEnd?.({ endedBy, startedAt, endedAt, transcript });
  });
  useEffect(() => {
    if (isOver) tellEnd();
  }, [isOver]);

  if (state.error) {
    return (
      <div className="trouble">
        <FailureCard
          error={state.error}
          problem={describeError(state.error)}
          onTryAgain={() => call(state.writing)}
          onKey={(key) => {
            setAccessKey(key);
            call(state.writing, key);
          }}
          onDismiss={session.dismissError}
        />
      </div>
    );
  }
  if (isOver && !onEnd) {
    return (
      <div className="trouble">
        <button type="button" className="button" onClick={() => call(state.writing)}>
          Call {agentLabel} again
        </button>
      </div>
    );
  }
  if (state.voiceState === "disconnected" || !client) return null;
  return (
    <PipecatClientProvider client={client}>
      <div className="screen">
        <LiveCall
          session={session}
          agentLabel={agentLabel}
          sound={sound}
          onSound={setSound}
          onMicrophone={setMicrophoneId}
        />
      </div>
    </PipecatClientProvider>
  );
}
