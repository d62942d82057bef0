/** Feeds the view of a call with what belongs to a running call: its tracks, devices and sound. */
import { usePipecatClientMediaDevices, usePipecatClientMediaTrack } from "@pipecat-ai/client-react";
import { useCallback, useEffect, useState } from "react";
import type { SoundPreferences } from "../media/preferences";
import type { VoiceSession } from "../session/useVoiceSession";
import { Chat } from "../views/Chat";
import { Voice } from "../views/Voice";
import { BotAudio } from "./BotAudio";

export interface LiveCallProps {
  session: VoiceSession;
  agentLabel: string;
  sound: SoundPreferences;
  onSound: (sound: SoundPreferences) => void;
  onMicrophone: (deviceId: string) => void;
}

const CAN_CHOOSE_SPEAKER = "setSinkId" in HTMLMediaElement.prototype;

export function LiveCall({ session, agentLabel, sound, onSound, onMicrophone }: LiveCallProps) {
  const { state, botTrack, setNotice } = session;
  const micTrack = usePipecatClientMediaTrack("audio", "local");
  const devices = usePipecatClientMediaDevices();
  const [attempt, setAttempt] = useState(0);

  const onBlocked = useCallback(() => setNotice({ kind: "sound-blocked" }), [setNotice]);

  useEffect(() => {
    if (state.connected) vibrate(20);
    return () => vibrate(state.connected ? [20, 60, 20] : 0);
  }, [state.connected]);

  const chooseMicrophone = (deviceId: string): void => {
    devices.updateMic(deviceId);
    onMicrophone(deviceId);
  };

  const shared = {
    state,
    agentLabel,
    onEnd: session.end,
    onDismissNotice: () => setNotice(null),
    onUnblockSound: () => {
      setNotice(null);
      setAttempt((count) => count + 1);
    },
  };

  return (
    <>
      <BotAudio
        track={botTrack}
        sound={state.writing ? { ...sound, silent: true } : sound}
        speakerId={idOf(devices.selectedSpeaker)}
        attempt={attempt}
        onBlocked={onBlocked}
      />
      {state.writing ? (
        <Chat {...shared} onWrite={session.write} onSpeak={() => session.setWriting(false)} />
      ) : (
        <Voice
          {...shared}
          micTrack={micTrack}
          botTrack={botTrack}
          microphone={{
            devices: devices.availableMics,
            selectedId: idOf(devices.selectedMic),
            onSelect: chooseMicrophone,
          }}
          speaker={
            CAN_CHOOSE_SPEAKER
              ? {
                  devices: devices.availableSpeakers,
                  selectedId: idOf(devices.selectedSpeaker),
                  onSelect: devices.updateSpeaker,
                }
              : null
          }
          sound={sound}
          onSound={onSound}
          onMute={session.setMuted}
          onWrite={() => session.setWriting(true)}
        />
      )}
    </>
  );
}

/** The client gives an empty object for no device. */
function idOf(device: MediaDeviceInfo | Record<string, never>): string | null {
  return "deviceId" in device ? device.deviceId : null;
}

/** Phones tell by touch that the call is up and that it has ended. */
function vibrate(pattern: VibratePattern): void {
  // A page that was loaded again, and not touched since, may not.
  if ("vibrate" in navigator && navigator.userActivation.hasBeenActive) navigator.vibrate(pattern);
}
