import { useEffect, useRef, useState } from "react";
import { CallTimer } from "../components/CallTimer";
import { ConnectionSign } from "../components/ConnectionSign";
import { Controls } from "../components/Controls";
import type { Panel } from "../components/Controls";
import { Grille } from "../components/Grille";
import { Notice } from "../components/Notice";
import { ResponseTimes } from "../components/ResponseTimes";
import { SoundSettings } from "../components/SoundSettings";
import type { DeviceChoice } from "../components/SoundSettings";
import { Transcript } from "../components/Transcript";
import { MicOffIcon } from "../components/icons";
import type { SoundPreferences } from "../media/preferences";
import { COMING_BACK_LABEL, INTERRUPTED_LABEL, STATE_LABELS } from "../session/labels";
import type { SessionState } from "../session/types";

export interface VoiceProps {
  state: SessionState;
  agentLabel: string;
  micTrack: MediaStreamTrack | null;
  botTrack: MediaStreamTrack | null;
  microphone: DeviceChoice;
  speaker: DeviceChoice | null;
  sound: SoundPreferences;
  onSound: (sound: SoundPreferences) => void;
  onMute: (muted: boolean) => void;
  /** Go on in writing. */
  onWrite: () => void;
  onEnd: () => void;
  onDismissNotice: () => void;
  onUnblockSound: () => void;
}

export function Voice(props: VoiceProps) {
  const { state, agentLabel } = props;
  const [panel, setPanel] = useState<Panel | null>(null);
  const view = useRef<HTMLElement>(null);

  // The button that led here is gone: go on from the top of this view.
  useEffect(() => view.current?.focus({ preventScroll: true }), []);

  return (
    <section
      ref={view}
      className="frame voice"
      aria-label={`Call with ${agentLabel}`}
      tabIndex={-1}
      data-voice-state={state.voiceState}
      data-muted={state.muted}
    >
      <header className="frame__head voice__head">
        <h1 className="voice__agent">{agentLabel}</h1>
        <ConnectionSign quality={state.quality} />
        <CallTimer startedAt={state.startedAt} />
      </header>

      <div className="frame__stage">
        <Grille
          state={state.voiceState}
          muted={state.muted}
          micTrack={props.micTrack}
          botTrack={props.botTrack}
        />
        <p className="frame__status" role="status" aria-live="polite">
          {statusOf(state)}
        </p>
        <Hint state={state} />
      </div>

      <div className="frame__side">
        {state.notice && (
          <Notice
            notice={state.notice}
            onDismiss={props.onDismissNotice}
            onUnblockSound={props.onUnblockSound}
          />
        )}
        <Transcript
          entries={state.transcript}
          call={state}
          agentLabel={agentLabel}
          placeholder="What you and the agent say appears here."
        />
      </div>

      <footer className="frame__foot">
        {panel === "times" && <ResponseTimes latencies={state.latencies} quality={state.quality} />}
        {panel === "sound" && (
          <SoundSettings
            microphone={props.microphone}
            speaker={props.speaker}
            sound={props.sound}
            onSound={props.onSound}
          />
        )}
        <Controls
          muted={state.muted}
          ending={state.voiceState === "disconnecting"}
          panel={panel}
          onMute={props.onMute}
          onWrite={props.onWrite}
          onEnd={props.onEnd}
          onPanel={setPanel}
        />
      </footer>
    </section>
  );
}

function statusOf(state: SessionState): string {
  if (state.comingBack) return COMING_BACK_LABEL;
  return state.unstable ? INTERRUPTED_LABEL : STATE_LABELS[state.voiceState];
}

/** A second line under the state, where there is something to add. */
function Hint({ state }: { state: SessionState }) {
  if (state.askingForMicrophone) {
    return <p className="frame__hint">Please allow the microphone in your browser.</p>;
  }
  if (state.comingBack) {
    return (
      <p className="frame__hint frame__hint--urgent" role="alert">
        The connection was lost. What was said is kept.
      </p>
    );
  }
  if (state.unstable) {
    return (
      <p className="frame__hint frame__hint--urgent" role="alert">
        What you say now is not heard.
      </p>
    );
  }
  if (state.muted) {
    return (
      <p className="frame__hint frame__hint--urgent">
        <MicOffIcon />
        Your microphone is muted.
      </p>
    );
  }
  return <p className="frame__hint" aria-hidden="true" />;
}
