import { useEffect } from "react";
import { HangUpIcon, MicIcon, MicOffIcon, SlidersIcon } from "./icons";

export interface ControlsProps {
  muted: boolean;
  /** The call is being ended. */
  ending: boolean;
  settingsOpen: boolean;
  onMute: (muted: boolean) => void;
  onEnd: () => void;
  onToggleSettings: () => void;
}

/** Where keys write text, or pick what begins with the letter. */
const TEXT_FIELDS = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches(TEXT_FIELDS));
}

/** The call's buttons, and the keys M and Escape for the whole page. */
export function Controls(props: ControlsProps) {
  const { muted, ending, settingsOpen, onMute, onEnd, onToggleSettings } = props;

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const modified = event.ctrlKey || event.metaKey || event.altKey;
      if (event.defaultPrevented || event.repeat || modified || isTyping(event.target)) return;
      if (event.key === "m" || event.key === "M") onMute(!muted);
      else if (event.key === "Escape" && settingsOpen) onToggleSettings();
      else if (event.key === "Escape") onEnd();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [muted, settingsOpen, onMute, onEnd, onToggleSettings]);

  return (
    <div className="controls" role="group" aria-label="Call controls">
      <button
        type="button"
        className="control control--mute"
        aria-label={muted ? "Unmute microphone" : "Mute microphone"}
        aria-pressed={muted}
        aria-keyshortcuts="M"
        title={muted ? "Unmute (M)" : "Mute (M)"}
        disabled={ending}
        onClick={() => onMute(!muted)}
      >
        {muted ? <MicOffIcon /> : <MicIcon />}
      </button>
      <button
        type="button"
        className="control control--end"
        aria-label="End call"
        aria-keyshortcuts="Escape"
        title="End call (Esc)"
        disabled={ending}
        onClick={onEnd}
      >
        <HangUpIcon />
      </button>
      <button
        type="button"
        className="control"
        aria-label="Sound settings"
        aria-expanded={settingsOpen}
        title="Sound settings"
        onClick={onToggleSettings}
      >
        <SlidersIcon />
      </button>
    </div>
  );
}
